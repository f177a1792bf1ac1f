"""A bundle is sealed data, and anything else is refused with its reason."""

import hashlib
import json

import pytest
from pydantic import ValidationError

from features import Patients
from features.specification import Specification, read_parts
from training.bundle import (
    BundleRefused,
    Calibration,
    Curve,
    Recalibration,
    Support,
    add_calibration,
    load_bundle,
    rename_bundle,
    rewrite_bundle,
    save_bundle,
)
from training.bundle.manifest import seal


@pytest.fixture
def folder(tmp_path, spec, parameters, manifest_of):
    return save_bundle(tmp_path / "bundle", manifest_of(spec), parameters, spec, Support())


def refused(folder, spec):
    with pytest.raises(BundleRefused) as caught:
        load_bundle(folder, spec)
    return caught.value


def test_a_saved_bundle_answers_exactly_as_the_prior_it_was_made_from(folder, spec, prior):
    patients = Patients.from_records(spec, [{"age_years": 60, "n_liver_metastases": 5}])
    loaded = load_bundle(folder, spec)
    again = loaded.prior.log_odds(patients, spec.regimens.all(), "resection_12m")
    assert again.tolist() == prior.log_odds(patients, spec.regimens.all(), "resection_12m").tolist()


def test_a_bundle_is_known_by_the_digest_of_its_seal_which_stands_for_every_byte(folder, spec, tmp_path):
    seal_of = hashlib.sha256((folder / "checksums.json").read_bytes()).hexdigest()
    assert load_bundle(folder, spec).digest == seal_of
    renamed = rename_bundle(folder, tmp_path / "renamed", "2")
    assert load_bundle(renamed, spec).digest != seal_of


def test_nothing_in_a_bundle_is_pickled(folder):
    assert {p.suffix for p in folder.iterdir()} <= {".json", ".ubj"}


def test_a_changed_a_missing_and_a_foreign_file_are_each_named(folder, spec):
    (folder / "prior.json").write_text((folder / "prior.json").read_text() + " ")
    (folder / "support.json").unlink()
    (folder / "extra.txt").write_text("hello")
    fault = refused(folder, spec)
    assert fault.code == "checksum"
    for named in ("prior.json was changed", "support.json is missing", "extra.txt is not listed"):
        assert named in fault.reason


def test_another_specification_is_refused_with_both_digests_and_what_differs(folder, spec):
    parts = read_parts()
    age = next(f for f in parts["fields"] if f["name"] == "age_years")
    age["hard"] = [18, 105]
    other = Specification(parts)
    fault = refused(folder, other)
    assert fault.code == "digest"
    for named in (spec.digest, other.digest, "fields: age_years"):
        assert named in fault.reason


def test_an_unknown_format_is_refused(folder, spec):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    seal(folder)
    assert refused(folder, spec).code == "format"


def test_a_resealed_but_unreadable_bundle_is_refused_without_a_stack_trace(folder, spec):
    (folder / "prior.json").write_text("{}")
    seal(folder)
    assert refused(folder, spec).code == "malformed"


def test_a_folder_that_is_no_bundle_is_refused(tmp_path, spec):
    assert refused(tmp_path / "nowhere", spec).code == "missing"
    assert refused(tmp_path, spec).code == "missing"


def test_a_bundle_is_never_written_over(folder, spec, parameters, manifest_of):
    with pytest.raises(FileExistsError):
        save_bundle(folder, manifest_of(spec), parameters, spec, Support())


def test_a_renamed_bundle_carries_its_version_and_still_loads(folder, tmp_path, spec):
    renamed = rename_bundle(folder, tmp_path / "named", "7")
    assert load_bundle(renamed, spec).manifest.version == "7"


def curves_of(spec, digest="0" * 64, **changes):
    drawn = {"predicted": (0.1, 0.4), "observed": (0.12, 0.35), "low": (0.05, 0.3), "high": (0.2, 0.4)}
    curve = Curve(**{**drawn, "patients": 900, "events": 210, **changes})
    text = "Judged on 900 patients."
    return Calibration(basis="registry", data_digest=digest, text=text, curves={spec.outcomes.names[0]: curve})


def test_calibration_curves_come_back_as_they_were_saved_and_under_another_version(
    tmp_path, spec, parameters, manifest_of
):
    saved, manifest = curves_of(spec), manifest_of(spec, "registry")
    folder = save_bundle(tmp_path / "bundle", manifest, parameters, spec, Support(), None, saved)
    assert load_bundle(folder, spec).calibration == saved
    assert load_bundle(rename_bundle(folder, tmp_path / "named", "7"), spec).calibration == saved


def test_curves_added_after_the_bundle_was_written_are_sealed_with_it(folder, spec):
    add_calibration(folder, curves_of(spec))
    assert load_bundle(folder, spec).calibration == curves_of(spec)
    (folder / "calibration.json").write_text((folder / "calibration.json").read_text().replace("0.35", "0.39"))
    fault = refused(folder, spec)
    assert (fault.code, "calibration.json was changed" in fault.reason) == ("checksum", True)


def test_a_bundle_without_curves_loads_and_says_why_it_has_none(folder, tmp_path, spec, parameters, manifest_of):
    found = load_bundle(folder, spec).calibration
    assert found.curves == {} and "rests on published studies" in found.text
    older = save_bundle(tmp_path / "older", manifest_of(spec, "registry"), parameters, spec, Support())
    assert "registered without one" in load_bundle(older, spec).calibration.text


def test_curves_of_another_model_are_refused_with_everything_that_does_not_fit(folder, spec):
    name = spec.outcomes.names[0]
    other = curves_of(spec, digest="1" * 64)
    add_calibration(folder, other.model_copy(update={"curves": {"nothing": other.curves[name]}}))
    fault = refused(folder, spec)
    assert fault.code == "malformed"
    assert "nothing is no outcome" in fault.reason and "trained on other data" in fault.reason


def test_a_copy_that_answers_an_outcome_in_another_way_leaves_the_curves_behind(folder, tmp_path, spec, manifest_of):
    add_calibration(folder, curves_of(spec))
    first, *others = manifest_of(spec).outcomes
    moved = Recalibration(intercept=0.1, update_of="4", patients=900, events=210, last_date="2026-01-01")
    models = (first.model_copy(update={"recalibration": moved}), *others)
    found = load_bundle(rewrite_bundle(folder, tmp_path / "moved", manifest_of(spec, models=models)), spec).calibration
    assert found.curves == {} and "was recalibrated" in found.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observed": (0.12,)}, "as many points"),
        ({"predicted": (0.4, 0.1)}, "must not fall"),
        ({"low": (0.3, 0.3)}, "above its high"),
        ({"high": (0.2, float("nan"))}, "finite number"),
        ({"high": (0.2, 1.1)}, "less than or equal to 1"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_none(spec, changes, words):
    with pytest.raises(ValidationError, match=words):
        curves_of(spec, **changes)
