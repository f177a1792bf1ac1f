"""From the ledger to files that the real readers, validation and the monitor take."""

import datetime as dt
import os

import pytest
import yaml
from pydantic_core import to_json

import serving.ledger.job as job
from features import Patients
from serving.answer import Scorer
from serving.ledger import Caller, Ledger, LedgerError, Prediction
from serving.ledger.cohort import cohort
from serving.ledger.names import load_names
from training.bundle import load_bundle
from training.monitor.layout import load_file_layout
from training.monitor.reading import read_outcomes, read_predictions
from training.registry import build_cohort, read_registry
from training.registry.layout import load_layout
from training.simulator import simulate
from validation.checkpoint import validate_registry


@pytest.fixture(scope="module")
def scorer(bundle, spec):
    return Scorer(load_bundle(bundle, spec), spec, "3")


@pytest.fixture(scope="module")
def simulated(spec):
    frame, _ = simulate(spec, patients=40, seed=5, sites=2)
    return frame


def value(cell):
    """A simulated cell as JSON would bring it."""
    if cell is None or cell != cell:
        return None
    if hasattr(cell, "isoformat"):
        return cell.isoformat()[:10]
    return cell.item() if hasattr(cell, "item") else cell


def kept(ledger, scorer, spec, row, patient=None):
    """Answer one simulated patient before cycle 1, keep and report; returns what was reported."""
    asked = {f.name: value(row.get(f.name)) for f in spec.asked}
    names = load_names(spec)
    plan = {part: value(row[name]) for part, name in names.plan.model_dump().items()}
    cycles = None if plan["cycles"] is None else int(plan["cycles"])
    regimen = {"backbone": plan["backbone"], "biologic": plan["biologic"], "planned_cycles": cycles}
    request = {"patient": asked, "regimens": [regimen], "profile": "eu"}
    answer = scorer.answer(request)
    one = Prediction(answer, to_json(answer), request, 3.0, Caller("board"), patient)
    before = dt.date.fromisoformat(value(row[names.keys.start])) - dt.timedelta(days=10)
    with pytest.MonkeyPatch.context() as then:
        then.setattr(job, "now", lambda: f"{before}T10:00:00.000000+00:00")
        ledger.append_sync([one])
    later = ledger._rules().fields
    told = {n: value(row.get(n)) for n in later if value(row.get(n)) is not None}
    ledger.record_outcome(one.id, told)
    return one, told


@pytest.fixture(scope="module")
def full(tmp_path_factory, scorer, spec, simulated):
    """A ledger of predictions made before cycle 1, each with what became of the patient."""
    with Ledger(f"sqlite:///{tmp_path_factory.mktemp('full') / 'ledger.db'}", "k" * 40, spec=spec) as ledger:
        made = [kept(ledger, scorer, spec, row) for row in simulated.to_dict("records")]
        yield ledger, made


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_files_are_for_their_owner_alone(full, spec, tmp_path, suffix):
    ledger, _ = full
    files = [tmp_path / f"{name}{suffix}" for name in ("registry", "predictions", "outcomes")]
    files[0].touch(0o644)
    before = os.umask(0o022)
    try:
        cohort(ledger, spec, files[0], predictions=files[1], outcomes=files[2])
    finally:
        os.umask(before)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_registry_is_read_validated_and_made_into_the_same_cohort(full, spec, simulated, tmp_path, suffix):
    ledger, made = full
    out = tmp_path / f"registry{suffix}"
    assert cohort(ledger, spec, out).rows == {out.name: len(made)}
    read = read_registry(out, spec)
    assert not read.problems and not read.unmapped and not read.simulated
    if suffix == ".csv":  # as slow for the other, and no different
        report = validate_registry(read.frame, spec, reading=read.problems)
        assert not report.errors, [(d.field, d.code) for d in report.errors]
    ours, theirs = build_cohort(read.frame, spec), build_cohort(simulated, spec)
    assert len(ours) == len(theirs) > 30
    assert list(ours.regimens) == list(theirs.regimens)
    for name in spec.outcomes.names:
        assert ours.outcomes[name].tolist() == pytest.approx(theirs.outcomes[name].tolist(), nan_ok=True), name
    asked = [column for field in spec.asked for column in field.columns]
    for column in asked:
        assert ours.patients[column].tolist() == pytest.approx(theirs.patients[column].tolist(), nan_ok=True), column
    assert isinstance(ours.patients, Patients)


def test_the_monitor_reads_both_files_and_finds_what_was_answered(full, scorer, spec, tmp_path):
    ledger, made = full
    files = {"predictions": tmp_path / "predictions.csv", "outcomes": tmp_path / "outcomes.csv"}
    cohort(ledger, spec, tmp_path / "registry.csv", **files)
    predictions, outcomes = read_predictions(files["predictions"], spec), read_outcomes(files["outcomes"], spec)
    assert set(predictions.key) == set(outcomes.key) == {one.id for one, _ in made}
    assert set(predictions.version) == {"3"}
    answered = {one.id: one.answer["regimens"][0]["outcomes"] for one, _ in made}
    for name, chances in predictions.chance.items():
        assert chances.tolist() == [answered[key][name]["probability"] for key in predictions.key]
    assert not any("not read" in note for note in (*predictions.notes, *outcomes.notes))


def test_an_outcome_told_by_its_own_name_keeps_the_others_told_by_fields(ledger, scorer, spec, simulated, tmp_path):
    rows = [r for r in simulated.to_dict("records") if value(r["local_treatment"]) == "none"][:2]
    (one, told), _ = (kept(ledger, scorer, spec, row) for row in rows)
    ledger.record_outcome(one.id, {**told, "objective_response": True, "resection_12m": False})
    cohort(ledger, spec, tmp_path / "registry.csv")
    read = read_registry(tmp_path / "registry.csv", spec)
    assert read.frame["resection_12m"].tolist() == [False, False]


def test_the_latest_report_stands(ledger, scorer, spec, simulated, tmp_path):
    one, told = kept(ledger, scorer, spec, simulated.to_dict("records")[0])
    ledger.record_outcome(one.id, {**told, "site_id": "corrected"})
    cohort(ledger, spec, tmp_path / "registry.csv")
    assert read_registry(tmp_path / "registry.csv", spec).frame["site_id"].tolist() == ["corrected"]


def test_of_a_patient_with_several_predictions_one_row_is_written(ledger, scorer, spec, simulated, tmp_path):
    row, patient = simulated.to_dict("records")[0], ledger.pseudonym("one patient")
    for _ in range(2):
        kept(ledger, scorer, spec, row, patient)
    made = cohort(ledger, spec, tmp_path / "registry.csv")
    assert made.rows == {"registry.csv": 1}
    assert made.left_out == {"earlier predictions of the same patient": 1}


def test_comparisons_and_explanations_are_no_patients(ledger, scorer, spec, simulated, looked, tmp_path):
    kept(ledger, scorer, spec, simulated.to_dict("records")[0])
    before = cohort(ledger, spec, tmp_path / "before.csv")
    ledger.append_sync(looked())
    after = cohort(ledger, spec, tmp_path / "after.csv")
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()
    assert after.left_out == before.left_out


def test_what_lacks_an_outcome_or_a_site_is_said(ledger, scorer, spec, simulated, predicted, tmp_path):
    with pytest.raises(LedgerError, match="No prediction has an outcome"):
        cohort(ledger, spec, tmp_path / "registry.csv")
    one, told = kept(ledger, scorer, spec, simulated.to_dict("records")[0])
    ledger.append_sync([predicted()])
    ledger.record_outcome(one.id, {**told, "site_id": None})
    with pytest.raises(LedgerError, match="--site"):
        cohort(ledger, spec, tmp_path / "registry.csv")
    made = cohort(ledger, spec, tmp_path / "registry.csv", site="north")
    assert made.left_out == {"predictions without an outcome": 1}
    assert read_registry(tmp_path / "registry.csv", spec).frame["site_id"].tolist() == ["north"]
    with pytest.raises(LedgerError, match=r"\.csv or a \.parquet"):
        cohort(ledger, spec, tmp_path / "registry.xlsx", site="north")


def test_the_names_are_those_by_which_the_files_are_read(spec):
    names, registry, monitor = load_names(spec), load_layout(spec), load_file_layout(spec)
    assert names.keys.model_dump() == registry.keys.model_dump()
    assert names.plan.model_dump() == registry.plan.model_dump()
    assert names.predictions.model_dump() == monitor.predictions.model_dump()
    assert names.outcomes.model_dump() == monitor.outcomes.model_dump()


def test_a_name_that_the_specification_lacks_is_named(spec):
    names = load_names(spec)
    wrong = yaml.safe_load(yaml.safe_dump(names.model_dump()))
    wrong["keys"]["site"] = "hospital"
    wrong["predictions"]["when"] = "index_date"
    complaints = type(names).model_validate(wrong).complaints(spec)
    assert [c.split(": ", 1)[1] for c in complaints] == [
        "site: hospital is not a field with the role key",
        "index_date is also a field or an outcome",
    ]
