"""Only patients whose outcome can no longer change are judged."""

import datetime as dt

import numpy as np
import pytest

from features import SpecificationError
from training import closed_cohort
from training.bundle import Manifest, OutcomeModel, Recalibration, TrainedOn
from training.closed_cohort import at_risk, closed, load_closing, newest, newest_date, taught_until

AS_OF = dt.date(2023, 6, 15)


@pytest.fixture
def manifest_of(spec):
    def made(last_date, created="2026-01-01T00:00:00+00:00", **recalibrated):
        return Manifest(
            name="resecta",
            learner="evidence",
            created=created,
            code_version="test",
            spec_digest=spec.digest,
            trained_on=TrainedOn(kind="registry", text="test", last_date=last_date, data_digest="0" * 64),
            outcomes=tuple(
                OutcomeModel(outcome=n, learner="evidence", recalibration=recalibrated.get(n))
                for n in spec.outcomes.names
            ),
        )

    return made


def began(cohort, date):
    return cohort.index_date >= np.datetime64(date, "D")


def test_a_month_of_patients_closes_once_its_last_day_is_the_window_and_two_months_ago(cohort, spec):
    masks = closed(cohort, AS_OF, spec)
    # 14 months before 15 June 2023 is 15 April 2022: March 2022 is the last month that is wholly past by then.
    assert masks["resection_12m"][~began(cohort, "2022-04-01")].all()
    assert not masks["resection_12m"][began(cohort, "2022-04-01")].any()
    # Response takes 6 months, a complication 12 to the operation and 3 more.
    assert masks["objective_response"][~began(cohort, "2022-10-01")].all()
    assert not masks["objective_response"][began(cohort, "2022-10-01")].any()
    assert masks["major_complication"][~began(cohort, "2022-01-01")].all()
    assert not masks["major_complication"][began(cohort, "2022-01-01")].any()


def test_no_outcome_closes_before_the_event_it_is_part_of(cohort, spec):
    masks = closed(cohort, AS_OF, spec)
    for outcome in spec.outcomes.outcomes:
        if outcome.within is not None:
            assert (masks[outcome.name] <= masks[outcome.within]).all()


def test_a_registry_is_judged_as_of_its_newest_date_and_never_of_a_later_one(registry, spec):
    newest_held = newest_date(registry.frame, spec, today=dt.date(2030, 1, 1))
    assert newest_held < dt.date(2026, 1, 1)
    assert newest_date(registry.frame, spec, today=dt.date(2020, 5, 4)) == dt.date(2020, 5, 4)
    with pytest.raises(ValueError, match="holds no date in index_date"):
        newest_date(registry.frame[["record_id"]], spec)


def test_the_newest_cohort_holds_closed_patients_whom_the_model_has_not_learned_from(cohort, spec, manifest_of):
    since = taught_until(manifest_of("2020-03-31"), spec)
    found = newest(cohort, since, AS_OF, spec)["resection_12m"]
    assert found.unseen
    assert found.first > dt.date(2020, 3, 31) and found.last < dt.date(2022, 4, 1)
    assert (found.rows == (began(cohort, "2020-04-01") & ~began(cohort, "2022-04-01"))).all()
    known = ~np.isnan(cohort.outcomes["resection_12m"])
    assert found.patients == (found.rows & known).sum()
    assert f"{found.patients:,} closed patients" in found.text and "from none of them" in found.text


def test_with_too_few_new_patients_the_last_closed_year_stands_in_and_it_is_said(cohort, spec, manifest_of):
    found = newest(cohort, taught_until(manifest_of("2022-03-20"), spec), AS_OF, spec)["resection_12m"]
    assert not found.unseen
    assert (found.rows == (began(cohort, "2021-04-01") & ~began(cohort, "2022-04-01"))).all()
    assert "the last 12 closed months stand in" in found.text and "may have learned from them" in found.text


def test_the_last_closed_year_counts_back_from_the_last_recorded_outcome(cohort, spec, manifest_of):
    late = newest(cohort, taught_until(manifest_of("2023-12-31"), spec), dt.date(2030, 1, 1), spec)["resection_12m"]
    known = ~np.isnan(cohort.outcomes["resection_12m"])
    assert late.patients > 0 and not late.unseen
    assert cohort.index_date[known].max().astype(object) - late.first <= dt.timedelta(days=366)


def test_all_closed_patients_are_new_to_a_model_of_evidence_alone(cohort, spec, manifest_of):
    since = taught_until(manifest_of(None), spec)
    assert set(since.values()) == {None}
    found = newest(cohort, since, AS_OF, spec)
    for name, mask in closed(cohort, AS_OF, spec).items():
        assert (found[name].rows == mask).all() and found[name].unseen


def test_a_patient_still_open_when_the_model_was_made_is_new_to_it(spec, manifest_of):
    until = taught_until(manifest_of("2024-05-20", created="2024-06-01T08:00:00+00:00"), spec)
    assert until["resection_12m"] == until["major_complication"] == dt.date(2023, 6, 2)
    assert until["objective_response"] == dt.date(2023, 12, 1)


def test_patients_of_a_recalibration_count_as_learned_from_for_that_outcome_alone(spec, manifest_of):
    moved = Recalibration(intercept=0.3, update_of="1", patients=200, events=80, last_date="2021-11-30")
    until = taught_until(manifest_of("2020-03-31", resection_12m=moved), spec)
    assert until["resection_12m"] == dt.date(2021, 11, 30)
    assert until["objective_response"] == dt.date(2020, 3, 31)


def test_a_registry_without_closed_patients_says_so(cohort, spec, manifest_of):
    found = newest(cohort, taught_until(manifest_of(None), spec), dt.date(2017, 1, 1), spec)["resection_12m"]
    assert (found.patients, found.first, found.text) == (0, None, "no patient is closed yet")


def test_a_small_share_of_recorded_outcomes_is_said(cohort, spec, manifest_of):
    found = newest(cohort, taught_until(manifest_of(None), spec), AS_OF, spec)["steatohepatitis"]
    assert found.recorded < 0.8
    assert f"only {100 * found.recorded:.0f}% of the closed patients at risk" in found.text


def test_those_at_risk_are_those_whose_parent_event_happened(cohort):
    assert at_risk(cohort, "objective_response").all()
    assert (at_risk(cohort, "any_complication") == (cohort.outcomes["resection_12m"] == 1)).all()


def test_windows_that_do_not_fit_the_specification_are_each_named(spec):
    shipped = load_closing(spec)
    months = {**shipped.months, "nobody": 3, "major_complication": 6}
    del months["steatosis"]
    complaints = shipped.model_copy(update={"months": months}).complaints(spec)
    assert "closed cohorts: unknown outcome nobody" in complaints
    assert "closed cohorts: no months for outcome steatosis" in complaints
    assert "closed cohorts: major_complication closes before resection_12m is known, after 12 months" in complaints


def test_a_faulty_file_of_windows_is_refused_when_it_is_loaded(spec, tmp_path, monkeypatch):
    (tmp_path / "closed_cohort.yaml").write_text(
        "{delay_months: 2, months: {nobody: 3}, least_patients: 50, recent_months: 12, least_recorded: 0.8}"
    )
    monkeypatch.setattr(closed_cohort, "files", lambda package: tmp_path)
    load_closing.cache_clear()
    try:
        with pytest.raises(SpecificationError, match="unknown outcome nobody"):
            load_closing(spec)
    finally:
        load_closing.cache_clear()
