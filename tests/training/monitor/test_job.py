"""A look at a served model: quiet when nothing moved, and an alert with its reason when something did."""

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest

from training.champion import evidence
from training.evidence import load_prior
from training.monitor import job
from training.monitor.job import monitor
from training.monitor.reference import cohort_profile, given_profile
from validation.monitoring.findings import Severity
from validation.monitoring.profile import ProfileRefused


@pytest.fixture(scope="module")
def look(predictions, store, spec):
    """A look with fewer simulated runs than are served."""

    def run(outcomes, **options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, "_SIMULATED", 8000)
            return monitor(options.pop("predictions", predictions), outcomes, store, spec, **options)

    return run


@pytest.fixture(scope="module")
def quiet(look, outcomes):
    return look(outcomes())


def of(found, name):
    return next(w for w in found.watched if w.closed.outcome == name)


def test_events_as_predicted_raise_no_alert(quiet):
    assert quiet.findings.alerts == ()
    assert not quiet.findings.needs_retraining
    assert of(quiet, "conversion_12m").last.ratio == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    ("outcome", "ratio", "direction"),
    [("conversion_12m", 1.5, "more"), ("conversion_12m", 0.6, "fewer"), ("major_complication", 2.0, "more")],
)
def test_a_drift_is_an_alert_that_names_the_outcome_and_asks_for_an_update(look, outcomes, outcome, ratio, direction):
    found = look(outcomes(**{outcome: ratio}))
    charts = {c.direction: c.crossed for c in of(found, outcome).charts}
    assert charts[direction] is not None
    assert found.findings.needs_retraining
    assert of(found, outcome).closed.label in found.findings.reason


def test_only_closed_patients_are_judged(look, outcomes, quiet):
    last = {w.closed.outcome: w.closed.month.max() for w in quiet.charted}
    conversion = of(quiet, "conversion_12m").closed.month.max()
    now = (quiet.as_of.year - 1970) * 12 + quiet.as_of.month - 1
    assert now - conversion > 14 and now - last["major_complication"] > 17

    def all_converted_lately(frame):
        recent = pd.to_datetime(frame["index_date"]) > pd.Timestamp(quiet.as_of) - pd.Timedelta(days=400)
        frame.loc[recent, ["resection_12m", "conversion_12m"]] = "yes"
        return frame

    other = of(look(outcomes(edit=all_converted_lately)), "conversion_12m")
    assert other.points == of(quiet, "conversion_12m").points


def test_too_little_follow_up_is_not_yet_evaluable(look, outcomes):
    def lost(frame):
        frame.loc[frame.index % 3 == 0, ["resection_12m", "conversion_12m", "any_complication"]] = ""
        frame.loc[frame.index % 3 == 0, "major_complication"] = ""
        return frame

    found = look(outcomes(edit=lost, conversion_12m=1.6))
    assert not any(w.evaluable for w in found.charted)
    assert found.findings.alerts == ()


def test_nobody_is_closed_in_the_first_year(look, outcomes, quiet):
    first = of(quiet, "conversion_12m").closed.month.min()
    early = dt.date(1970 + (int(first) + 10) // 12, (int(first) + 10) % 12 + 1, 1)
    found = look(outcomes(), as_of=early)
    assert not any(w.evaluable for w in found.watched)
    assert found.findings.alerts == ()


def test_an_alert_on_a_version_that_was_replaced_is_shown_only(look, outcomes, predictions, tmp_path):
    frame = pd.read_csv(predictions, dtype=object, keep_default_na=False)
    newest = frame["predicted_at"].rank(method="first") > len(frame) - 20
    frame.loc[newest, "model_version"] = "2"
    path = tmp_path / "predictions.csv"
    frame.to_csv(path, index=False)
    found = look(outcomes(conversion_12m=1.5), predictions=path)
    conversion = of(found, "conversion_12m")
    assert found.served == "2" and conversion.closed.version == "1"
    assert conversion.severity is Severity.SHOW
    assert not found.findings.needs_retraining


def test_what_another_version_did_is_no_reason_to_update_the_champion(look, outcomes, spec, monkeypatch):
    champion = replace(evidence(spec, load_prior(spec)), version="7")
    monkeypatch.setattr(job, "load_champion", lambda *_: champion)
    found = look(outcomes(conversion_12m=1.5))
    assert found.findings.alerts
    assert not found.findings.needs_retraining
    assert any("the champion is version 7" in f.text for f in found.findings.found)


def test_charts_start_anew_after_an_alert_was_settled(look, outcomes, quiet):
    since = dt.date(2021, 1, 1)
    months = of(look(outcomes(), since=since), "conversion_12m").closed.month
    assert months.min() >= (2021 - 1970) * 12


def test_a_champion_that_learned_from_no_patients_has_no_reference(quiet):
    assert quiet.reference is None
    assert "the champion learned from no patients" in quiet.reference_text
    assert quiet.inputs == ()


def test_a_profile_can_be_given_as_it_was_logged(look, outcomes, cohort, spec, tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(cohort_profile(cohort).model_dump_json())
    found = look(outcomes(), reference=path)
    assert found.inputs and found.mix
    assert not any(d.severity is Severity.ALERT for d in found.inputs)


def test_a_profile_of_another_specification_is_refused(cohort, spec, tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(cohort_profile(cohort).model_copy(update={"spec_digest": "0" * 64}).model_dump_json())
    with pytest.raises(ProfileRefused, match="another specification"):
        given_profile(path, spec, None)


def test_an_input_that_stops_arriving_is_an_alert_but_no_reason_to_retrain(
    look, outcomes, predictions, cohort, tmp_path
):
    frame = pd.read_csv(predictions, dtype=object, keep_default_na=False)
    frame.loc[frame["predicted_at"] > "2023-01-01", "albumin_g_l"] = ""
    spoiled, profile = tmp_path / "predictions.csv", tmp_path / "profile.json"
    frame.to_csv(spoiled, index=False)
    profile.write_text(cohort_profile(cohort).model_dump_json())
    found = look(outcomes(), predictions=spoiled, reference=profile)
    assert [f.block for f in found.findings.alerts] == ["Inputs"]
    assert "missing" in found.findings.alerts[0].text
    assert not found.findings.needs_retraining
