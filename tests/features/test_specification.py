"""The specification is checked whole, names what is at fault, and is stamped."""

import copy

import pytest

from features import LateInformation, Time, load_specification
from features.availability import refuse_late
from features.specification import Specification, SpecificationError, read_parts


@pytest.fixture
def parts():
    return copy.deepcopy(read_parts())


def entry(parts, part, name, key="name"):
    return next(e for e in parts[part] if e[key] == name)


def test_the_specification_that_ships_is_coherent():
    spec = load_specification()
    assert len(spec.regimens.all()) == 20
    assert {f.name for f in spec.asked if f.required} == {"age_years"}


def test_wording_does_not_change_the_digest_but_a_limit_a_code_or_an_outcome_does(parts):
    digest = Specification(parts).digest
    entry(parts, "fields", "age_years")["label"] = "Age at start"
    entry(parts, "fields", "age_years")["why"] = "another reason"
    assert Specification(parts).digest == digest
    entry(parts, "fields", "age_years")["hard"] = [18, 105]
    changed = Specification(parts)
    assert changed.digest != digest
    assert load_specification().differences(changed.canonical) == ["fields: age_years"]


def test_a_hospital_may_change_a_severity_without_losing_its_model(parts):
    before = Specification(parts)
    rule = parts["flags"]["rules"][0]
    rule["severity"] = {profile: "info" for profile in rule["severity"]}
    after = Specification(parts)
    assert after.digest == before.digest
    assert after.flags_digest != before.flags_digest


def test_every_fault_is_named_at_once(parts):
    parts["encoding"]["patient_factors"][0]["of"] = "shoe_size"
    entry(parts, "outcomes", "conversion_12m")["recorded"] = {"fact": "luck", "is": True}
    parts["flags"]["rules"][0]["when"] = {"fact": "msi_status", "is": "sometimes"}
    with pytest.raises(SpecificationError) as caught:
        Specification(parts)
    for named in ("shoe_size", "outcome conversion_12m: unknown facts luck", "sometimes is not a code of msi_status"):
        assert named in str(caught.value)


def test_a_field_known_only_at_surgery_cannot_enter_a_baseline_model(parts):
    parts["encoding"]["patient_factors"].append({"name": "late", "of": "flr_percent_preop"})
    with pytest.raises(LateInformation, match=r"flr_percent_preop is known at surgery.*predicts at baseline"):
        Specification(parts)


def test_a_flag_cannot_read_what_is_known_later_than_it_is_raised(parts):
    parts["flags"]["rules"][0]["when"] = {"fact": "pve_done", "is": True}
    with pytest.raises(SpecificationError, match="pve_done is known only at surgery"):
        Specification(parts)


def test_an_outcome_must_become_known_after_its_prediction(parts):
    entry(parts, "outcomes", "conversion_12m")["known_at"] = "baseline"
    with pytest.raises(SpecificationError, match="not after its prediction"):
        Specification(parts)


def test_the_leakage_guard_names_both_times_and_stays_quiet_otherwise():
    spec = load_specification()
    refuse_late([spec.fields["age_years"]], Time.BASELINE)
    refuse_late([spec.fields["pve_done"]], Time.SURGERY)
    with pytest.raises(LateInformation, match="pve_done is known at surgery; a model that predicts at baseline"):
        refuse_late([spec.fields["age_years"], spec.fields["pve_done"]], Time.BASELINE)
