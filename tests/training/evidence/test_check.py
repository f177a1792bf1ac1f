"""The check foretells arms it has not seen, and says how well."""

import json

import numpy as np
import pytest
from rich.console import Console

from training.bundle.evidence_page import effects_page
from training.evidence import load_parameters, load_prior
from training.evidence.arms import ArmReader
from training.evidence.check import check
from training.evidence.command import run_check, run_show
from training.evidence.held_out import Evidence
from training.evidence.published_range import check_ranges, load_published_ranges, with_extrahepatic

COLUMNS = "study_id,arm_id,population,resectability_at_entry,backbone,biologic,design,n_patients,response_n,r0_pct\n"
NEW = COLUMNS + (
    "new2030,a,liver_limited,unresectable,folfox,none,rct,60,36,20\n"
    "new2030,b,liver_limited,unresectable,folfoxiri,bevacizumab,rct,62,52,35\n"
    "new2030,c,liver_limited,unresectable,elixir,none,rct,60,20,\n"
)


@pytest.fixture(scope="module")
def evidence(spec):
    return Evidence(spec, ArmReader(spec))


@pytest.fixture
def new_file(tmp_path):
    path = tmp_path / "arms.csv"
    path.write_text(NEW, "utf-8")
    return path


def test_a_file_never_seen_is_predicted_and_what_is_not_understood_is_named(new_file, tmp_path):
    report = check(new_file, tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [(p["study_id"], p["arm_id"], p["outcome"]) for p in written["predictions"]] == [
        ("new2030", "a", "response"),
        ("new2030", "a", "r0"),
        ("new2030", "b", "response"),
        ("new2030", "b", "r0"),
    ]
    first = written["predictions"][0]
    assert (first["observed"], first["n"]) == (60.0, 60)
    assert 0 <= first["low"] < first["predicted"] < first["high"] <= 100
    assert written["skipped"][0]["place"] == "row 4 (new2030, c)"
    assert (tmp_path / "report.png").stat().st_size > 1000
    (response, _) = report.checked.contrasts
    assert response.same_sign and response.observed == pytest.approx(36 / 60 - 52 / 62)


def test_a_study_of_the_fit_is_left_out_when_it_comes_under_another_name(evidence):
    known = next(a for a in evidence.arms if a.study == "triplete2022")
    stranger = type(known)(**{**known.__dict__, "study": "trial_x", "identifiers": frozenset({"35666229", "trial_x"})})
    assert evidence.related([stranger]) == {"triplete2022", "wu2022"}


def test_studies_that_share_patients_are_left_out_together(evidence):
    own = {s: [a for a in evidence.arms if a.study == s] for s in ("tribe", "masi2009", "peak")}
    assert evidence.related(own["tribe"]) == {"tribe", "gono_lld2017", "tomasello2017"}
    assert evidence.related(own["masi2009"]) == {"masi2009", "falcone2007"}
    assert evidence.related(own["peak"]) == {"peak"}


def test_what_an_arm_shows_does_not_move_its_own_prediction(tmp_path):
    predicted = []
    for events in (10, 50):
        path = tmp_path / f"{events}.csv"
        path.write_text(
            COLUMNS + f"peak,pan,unselected_mcrc,unresectable,folfox,panitumumab,rct,60,{events},\n", "utf-8"
        )
        (rate,) = check(path).checked.rates
        predicted.append(rate.model.predicted)
    assert predicted[0] == pytest.approx(predicted[1], abs=1e-9)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"study_id,arm_id\n\n"])
def test_a_file_that_holds_no_arms_is_no_crash(tmp_path, content):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    report = check(path, tmp_path / "odd.json")
    assert report.checked.rates == ()
    assert json.loads((tmp_path / "odd.json").read_text("utf-8"))["predictions"] == []


def test_a_file_that_is_missing_is_said(tmp_path):
    console = Console(record=True, width=200)
    assert run_check(tmp_path / "nowhere.csv", None, None, console) == 2
    assert "nowhere.csv" in console.export_text()


def test_stated_ranges_are_shown_beside_the_prior(spec, evidence):
    found = check_ranges(spec, load_prior(spec), evidence)
    assert [(r.stated.low, r.stated.high) for r in found] == [(10, 20), (30, 40)]
    for r in found:
        assert r.patients[1] < r.patients[0] < r.patients[2]
        assert r.overlaps
    unselected, liver_limited = found
    assert unselected.patients[0] < liver_limited.patients[0]


def test_the_share_with_disease_elsewhere_is_set_and_nothing_else(spec, patients):
    assert len(load_published_ranges()) == 2
    outside = next(f.of for f in spec.encoding.patient_factors if f.not_only is not None)
    changed = with_extrahepatic(patients, 0.69)
    assert 1 - changed[f"{outside}=none"].mean() == pytest.approx(0.69, abs=0.01)
    np.testing.assert_array_equal(changed["age_years"], patients["age_years"])


def test_the_effect_table_is_written_as_csv_and_as_a_page(tmp_path):
    console = Console(record=True, width=160)
    assert run_show(tmp_path / "effects.csv", tmp_path / "effects.html", console) == 0
    assert "transcription unverified" in console.export_text()
    assert (tmp_path / "effects.csv").read_text("utf-8").startswith("outcome,label,within,term,text,odds_ratio")
    assert "<table>" in (tmp_path / "effects.html").read_text("utf-8")


def test_the_page_needs_nothing_but_the_parameters(spec):
    page = effects_page(load_parameters(), spec)
    assert "transcription unverified" in page
    assert "<script" not in page and "http" not in page and "src=" not in page
    for outcome in spec.outcomes.outcomes:
        assert outcome.label in page


@pytest.mark.slow
def test_left_out_studies_are_foretold_better_than_by_means(tmp_path):
    for without_recalled in (False, True):
        report = check(None, tmp_path / "report.json", without_recalled)
        summary = {o.outcome: o for o in report.summary.outcomes}
        assert summary["response"].error_ratio < 0.9
        assert summary["r0"].error_ratio < 0.9
        assert summary["resection"].error_ratio <= 1
        for outcome in summary.values():
            naive = min(outcome.by_population.interval_score, outcome.by_class.interval_score)
            assert outcome.model.interval_score < naive
            assert 80 <= outcome.model.coverage <= 97
        assert report.summary.same_sign >= 0.9 * report.summary.significant > 0
