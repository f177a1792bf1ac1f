"""From a registry to a cohort: who belongs, what was planned, what became of whom, and what can be trained."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from features import Patients, load_specification
from features.rule import Condition
from training.registry import build_cohort
from training.simulator import simulate
from validation.answers import answers

SPEC = load_specification()


def row(**values):
    """A patient started early enough to count, seen long enough, with nothing else known."""
    base = {
        "record_id": f"R{row.count}",
        "site_id": "A",
        "index_date": dt.date(2020, 1, 1),
        "age_years": 60,
        "planned_backbone": "folfox",
        "planned_biologic": "none",
        "last_contact_date": dt.date(2023, 1, 1),
    }
    row.count += 1
    return {**base, **values}


row.count = 0


def cohort(*rows):
    frame = pd.DataFrame(rows)
    return build_cohort(frame.astype(object).where(frame.notna(), None), SPEC)


def one(outcome, **values):
    (value,) = cohort(row(**values)).outcomes[outcome]
    return None if np.isnan(value) else int(value)


OPERATED = {"resection_date": dt.date(2020, 7, 1), "local_treatment": "resection"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (OPERATED, 1),
        ({"resection_date": dt.date(2021, 3, 1), "local_treatment": "resection"}, 0),
        ({"local_treatment": "none"}, 0),
        ({}, None),
    ],
)
def test_resection_is_read_from_its_date_and_stays_open_where_nothing_is_said(values, expected):
    assert one("resection_12m", **values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({**OPERATED, "all_disease_removed": True}, 1),
        ({**OPERATED, "all_disease_removed": False}, 0),
        (OPERATED, None),
        ({"local_treatment": "none"}, 0),
        ({"resection_date": dt.date(2021, 3, 1), "local_treatment": "resection", "all_disease_removed": True}, 0),
    ],
)
def test_conversion_lies_within_resection(values, expected):
    assert one("conversion_12m", **values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({**OPERATED, "clavien_dindo_max": "iiib"}, 1),
        ({**OPERATED, "clavien_dindo_max": "ii"}, 0),
        ({**OPERATED, "clavien_dindo_max": "none"}, 0),
        (OPERATED, None),
        ({"local_treatment": "none"}, None),
    ],
)
def test_a_complication_not_recorded_is_not_none_and_the_unoperated_have_none_to_count(values, expected):
    assert one("major_complication", **values) == expected


def test_a_death_within_90_days_is_a_major_complication_by_definition():
    died = dt.date(2020, 8, 1)
    found = cohort(
        row(**{**OPERATED, "death_date": died, "last_contact_date": died, "clavien_dindo_max": "none"}), row()
    )
    assert [found.outcomes[n][0] for n in ("any_complication", "major_complication", "mortality_90d")] == [1, 1, 1]
    assert any("wider event" in note for note in found.notes)


def test_an_outcomes_own_column_stands_before_what_could_be_derived():
    assert one("conversion_12m", **OPERATED, all_disease_removed=False, conversion_12m=True) == 1


def test_the_youngest_patients_do_not_count_until_their_year_is_over():
    old, young = (
        row(local_treatment="none"),
        row(
            index_date=dt.date(2022, 6, 1),
            resection_date=dt.date(2022, 9, 1),
            local_treatment="resection",
            clavien_dindo_max="i",
        ),
    )
    found = cohort(old, young)
    assert found.outcomes["resection_12m"][0] == 0
    assert np.isnan(found.outcomes["resection_12m"][1])
    assert np.isnan(found.outcomes["any_complication"][1])
    assert any("less than 12 months before the last date" in note for note in found.notes)


def test_rows_that_do_not_belong_are_counted_out():
    found = cohort(row(), row(treatment_intent="palliative"), row(treatment_intent="unclear"), row(index_date=None))
    assert {s.code: s.rows for s in found.flow} == {"read": 4, "incomplete_key": 1, "palliative_intent": 1, "kept": 2}
    assert len(found) == 2


def test_an_unrecorded_plan_is_taken_as_twelve_weeks_and_said():
    found = cohort(row(planned_cycles=8), row(planned_backbone="capox"))
    assert [r.planned_weeks for r in found.regimens] == [16, 12]
    assert any("not recorded in 1 rows; 12 weeks are assumed" in note for note in found.notes)


def test_nothing_known_after_baseline_reaches_the_cohorts_patients():
    found = cohort(row(**OPERATED, early_tumour_shrinkage_pct=-40, cycles_delivered_total=8, bilobar=True))
    assert found.patients["bilobar"].tolist() == [1.0]
    for field in SPEC.fields.values():
        if field.known_at.value != "baseline":
            assert all(np.isnan(found.patients[c]).all() for c in field.columns), field.name


def test_what_cannot_be_trained_says_why():
    found = cohort(*[row(**OPERATED, clavien_dindo_max="none") for _ in range(30)])
    assert "resection_12m" not in found.trainable
    assert found.reasons["resection_12m"].startswith("30 events and 0 without")
    assert found.reasons["steatohepatitis"] == "not recorded in this registry"
    assert found.reasons["any_complication"].startswith("0 events and 30 without among those with liver surgery")


def test_a_registry_may_lack_any_optional_field_and_any_outcome():
    registry, _ = simulate(SPEC, 600, 12, 3)
    keep = [
        "record_id",
        "site_id",
        "index_date",
        "planned_backbone",
        "planned_biologic",
        "age_years",
        "resection_date",
        "local_treatment",
    ]
    found = build_cohort(registry[keep], SPEC)
    assert found.trainable == ("resection_12m",)
    assert set(found.reasons) == set(SPEC.outcomes.names) - {"resection_12m"}


def test_a_registry_without_a_required_column_is_sent_to_validation():
    with pytest.raises(ValueError, match="lacks planned_backbone; validate it first"):
        build_cohort(pd.DataFrame([row()]).drop(columns="planned_backbone"), SPEC)


def test_a_part_of_a_cohort_keeps_everything_in_step():
    registry, _ = simulate(SPEC, 400, 12, 3)
    whole = build_cohort(registry, SPEC)
    rows = np.flatnonzero(whole.site == "S02")[::-1]
    part = whole.take(rows)
    assert set(part.site) == {"S02"}
    assert part.regimens == tuple(whole.regimens[i] for i in rows)
    np.testing.assert_array_equal(part.outcomes["resection_12m"], whole.outcomes["resection_12m"][rows])
    np.testing.assert_array_equal(part.patients["age_years"], whole.patients["age_years"][rows])
    assert set(part.trainable) <= set(whole.trainable)


def test_conditions_over_a_table_agree_with_conditions_over_one_patient():
    registry, _ = simulate(SPEC, 200, 4, 2)
    fields = [
        "ras_status",
        "bilobar",
        "extrahepatic_disease",
        "n_liver_metastases",
        "primary_site",
        "index_date",
        "resection_date",
    ]
    records = registry[fields].to_dict("records")
    records = [{k: v for k, v in r.items() if v is not None} for r in records]
    patients = Patients.from_records(SPEC, records)
    conditions = [
        {"fact": "ras_status", "is": "not_tested"},
        {"fact": "ras_status", "in": ["mutant"]},
        {"not": {"fact": "bilobar", "is": True}},
        {"fact": "extrahepatic_disease", "has_any": ["lung", "nodal"]},
        {"any": [{"fact": "n_liver_metastases", "above": 9}, {"fact": "bilobar", "unknown": True}]},
        {"all": [{"fact": "resection_date", "after": "index_date"}, {"fact": "primary_site", "is": "rectum"}]},
    ]
    for data in conditions:
        condition = Condition.model_validate(data)
        expected = [condition.evaluate(r, SPEC.unknown_codes) for r in records]
        found = answers(condition, patients)
        assert [None if np.isnan(a) else bool(a) for a in found] == expected, data
        assert len(set(expected)) > 1
