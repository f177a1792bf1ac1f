"""A file of patients in, a file of probabilities out: the service's numbers, bounded memory, and no row lost."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from features import load_specification
from serving.answer import Scorer
from serving.scoring.command import run_score
from serving.scoring.parts import Parts
from training.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[3]
PATIENTS = [
    {"age_years": 54, "ras_status": "mutant", "bilobar": True, "n_liver_metastases": 9},
    {"age_years": 71, "ras_status": "wt", "primary_site": "sigmoid", "albumin_g_l": 41.5},
    {"age_years": 40, "extrahepatic_disease": ["lung", "bone"]},
    {"age_years": 63},
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """The evidence itself, whose numbers differ between patients and regimens."""
    from training.bundle import Manifest, OutcomeModel, Support, TrainedOn, save_bundle
    from training.evidence.committed import load_parameters

    spec = load_specification()
    manifest = Manifest(
        name="resecta",
        version="4",
        learner="evidence",
        created="2026-01-01T00:00:00+00:00",
        code_version="test",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="evidence", text="Published studies alone.", data_digest="0" * 64),
        outcomes=tuple(OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names),
    )
    folder = tmp_path_factory.mktemp("model") / "bundle"
    return save_bundle(folder, manifest, load_parameters(), spec, Support())


def write(path: Path, records: list[dict]) -> Path:
    """Write what was recorded as a CSV would hold it."""
    names = list(dict.fromkeys(name for record in records for name in record))

    def cell(value: object) -> object:
        if isinstance(value, bool):
            return "true" if value else "false"
        return ";".join(value) if isinstance(value, list) else value

    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in record.items()} for record in records)
    return path


def score(data: Path, out: Path, model: Path, **options) -> int:
    return run_score(data, out, model=str(model), **{"workers": 1, **options})


def answers(bundle: Path, regimens=None) -> list[dict]:
    spec = load_specification()
    scorer = Scorer(load_bundle(bundle, spec), spec)
    return [scorer.answer({"patient": p, "regimens": regimens, "profile": spec.flags.profiles[0]}) for p in PATIENTS]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("intervals", [False, True])
def test_the_file_holds_what_the_service_answers(tmp_path, bundle, suffix, intervals):
    data = write(tmp_path / "in.csv", PATIENTS)
    if suffix == "parquet":
        names = list(dict.fromkeys(name for record in PATIENTS for name in record))
        columns = {name: [record.get(name) for record in PATIENTS] for name in names}
        data = tmp_path / "in.parquet"
        parquet.write_table(pa.table(columns), data)
    assert score(data, tmp_path / "out.parquet", bundle, intervals=intervals) == 0
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    expected = answers(bundle)
    assert len(rows) == 4 * 20
    for i, answer in enumerate(expected):
        for j, regimen in enumerate(answer["regimens"]):
            row = rows[i * 20 + j]
            assert row["row"] == i + 1
            assert (row["backbone"], row["biologic"]) == (regimen["backbone"], regimen["biologic"])
            assert row["planned_cycles"] == regimen["planned_cycles"]
            for name, told in regimen["outcomes"].items():
                # Both round; what lies between two roundings may fall to either side.
                assert row[name] == pytest.approx(told["probability"], abs=1.1e-4)
                if intervals:
                    assert row[f"{name}_low"] == pytest.approx(told["low"], abs=1.1e-4)
                    assert row[f"{name}_high"] == pytest.approx(told["high"], abs=1.1e-4)


def test_a_list_of_regimens_and_the_planned_one_are_scored_alone(tmp_path, bundle):
    planned = [{**p, "planned_backbone": "folfox", "planned_biologic": "none"} for p in PATIENTS]
    planned[1] |= {"planned_backbone": "folfoxiri", "planned_biologic": "bevacizumab", "planned_cycles": 8}
    data = write(tmp_path / "in.csv", planned)
    assert score(data, tmp_path / "planned.parquet", bundle, regimens="planned", intervals=False) == 0
    listed = "folfox,folfoxiri+bevacizumab:8"
    assert score(data, tmp_path / "listed.parquet", bundle, regimens=listed, intervals=False) == 0
    own = parquet.read_table(tmp_path / "planned.parquet").to_pylist()
    both = parquet.read_table(tmp_path / "listed.parquet").to_pylist()
    assert [r["row"] for r in own] == [1, 2, 3, 4]
    assert [r["backbone"] for r in own] == ["folfox", "folfoxiri", "folfox", "folfox"]
    assert own[1] == pytest.approx(both[3])
    assert own[0] == pytest.approx(both[0])


def test_a_row_that_a_request_would_refuse_is_set_aside_with_its_number_and_no_value(tmp_path, bundle, capsys):
    bad = [
        {"age_years": 60, "albumin_g_l": 4.1},
        {"age_years": 212},
        {"age_years": None, "ras_status": "perhaps"},
        {"age_years": 61},
    ]
    out = tmp_path / "out.parquet"
    assert score(write(tmp_path / "in.csv", bad), out, bundle, intervals=False, chunk=2) == 1
    table = parquet.read_table(out)
    spec = load_specification()
    expected = {}
    for number, record in enumerate(bad, 1):
        asked = {f.name: f.problem(record.get(f.name)) for f in spec.asked}
        if problems := {(name, p.code) for name, p in asked.items() if p is not None}:
            expected[number] = problems
    assert set(table["row"].to_pylist()) == {1, 2, 3, 4} - set(expected)
    text = (tmp_path / "out.rejects.csv").read_text()
    found: dict[int, set] = {}
    for line in csv.DictReader(text.splitlines()):
        found.setdefault(int(line["row"]), set()).add((line["field"], line["code"]))
    assert found == expected
    assert "perhaps" not in text and "212" not in text
    assert "212" not in capsys.readouterr().err


def test_what_is_written_of_patients_is_for_their_owner_alone(tmp_path, bundle, monkeypatch):
    out, seen = tmp_path / "out.parquet", set()
    finish = Parts.finish

    def finished(parts, *given):
        seen.update(path.stat().st_mode & 0o077 for path in (parts.folder, *parts.folder.iterdir()))
        return finish(parts, *given)

    monkeypatch.setattr(Parts, "finish", finished)
    out.write_bytes(b"an earlier one, that all may read")
    out.chmod(0o644)
    before = os.umask(0o022)
    try:
        assert score(write(tmp_path / "in.csv", [{"age_years": 60}, {"age_years": 212}]), out, bundle) == 1
    finally:
        os.umask(before)
    assert seen == {0}
    assert {(tmp_path / n).stat().st_mode & 0o777 for n in ("out.parquet", "out.rejects.csv")} == {0o600}


def test_a_row_with_too_many_columns_is_named_and_costs_no_other(tmp_path, bundle):
    data = tmp_path / "in.csv"
    data.write_text("age_years,sex\n60,male\n61,male,and more\n62,female\n63\n64,male\n")
    assert score(data, tmp_path / "out.parquet", bundle, regimens="folfox", intervals=False, chunk=2) == 1
    assert parquet.read_table(tmp_path / "out.parquet")["row"].to_pylist() == [1, 3, 5]
    lines = list(csv.DictReader((tmp_path / "out.rejects.csv").read_text().splitlines()))
    assert [(line["row"], line["code"]) for line in lines] == [("2", "malformed_row"), ("4", "malformed_row")]


def test_the_file_says_which_model_it_is_of_and_what_that_rests_on(tmp_path, bundle):
    data = write(tmp_path / "in.csv", [{**p, "mrn": f"0{i}"} for i, p in enumerate(PATIENTS)])
    out = tmp_path / "out.parquet"
    assert score(data, out, bundle, regimens="folfox", identifier="mrn") == 0
    assert parquet.read_table(out)["mrn"].to_pylist() == ["00", "01", "02", "03"]
    told = {k.decode(): v.decode() for k, v in parquet.read_schema(out).metadata.items()}
    assert told["resecta.version"] == "4"
    assert told["resecta.spec_digest"] == load_specification().digest
    assert len(told["resecta.bundle_digest"]) == len(told["resecta.input_digest"]) == 64
    assert told["resecta.rests_on"] == "evidence" and told["resecta.banner"]
    assert json.loads(told["resecta.outcomes"])["mortality_90d"] == "resection_12m"
    assert not Parts(out).folder.exists()


@pytest.mark.parametrize(
    ("header", "options", "told"),
    [
        ("sex", {}, "age_years is required"),
        ("age_years,albumin_gl", {}, "albumin_gl may mean albumin_g_l"),
        ("age_years,age_years", {}, "same name"),
        ("age_years", {"regimens": "folfox+aspirin"}, "folfox+aspirin: unknown biologic"),
        ("age_years", {"regimens": "planned"}, "planned_backbone is required"),
        ("age_years", {"identifier": "mrn"}, "--identifier mrn is not a column"),
    ],
)
def test_what_cannot_be_scored_is_said_before_anything_is_written(tmp_path, bundle, capsys, header, options, told):
    data = tmp_path / "in.csv"
    data.write_text(f"{header}\n" + ",".join("1" for _ in header.split(",")) + "\n")
    assert score(data, tmp_path / "out.parquet", bundle, **options) == 2
    assert told in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("options", [{}, {"regimens": "planned"}, {"identifier": "mrn", "workers": 2}])
def test_a_file_without_rows_becomes_a_file_of_the_same_columns_without_rows(tmp_path, bundle, suffix, options):
    row = {**PATIENTS[0], "planned_backbone": "folfox", "planned_biologic": "none", "mrn": "1"}
    data = write(tmp_path / "one.csv", [row])
    nobody = tmp_path / f"nobody.{suffix}"
    if suffix == "csv":
        nobody.write_text(data.read_text().splitlines()[0] + "\n")
    else:
        parquet.write_table(pa.table({name: pa.array([], pa.string()) for name in row}), nobody)
    assert score(data, tmp_path / "one.parquet", bundle, **options) == 0
    assert score(nobody, tmp_path / "none.parquet", bundle, **options) == 0
    empty = parquet.read_table(tmp_path / "none.parquet")
    assert empty.num_rows == 0
    assert empty.schema.equals(parquet.read_schema(tmp_path / "one.parquet"))
    assert empty.schema.metadata[b"resecta.version"] == b"4"


def test_a_file_of_which_no_row_can_be_read_lists_every_row(tmp_path, bundle):
    data = tmp_path / "in.csv"
    data.write_text("age_years,sex\n" + "60\n" * 3)
    assert score(data, tmp_path / "out.parquet", bundle, regimens="folfox") == 1
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 0
    assert (tmp_path / "out.rejects.csv").read_text().count("malformed_row") == 3


def test_a_column_known_only_later_is_left_out_and_said(tmp_path, bundle, capsys):
    late = [{**p, "death_date": "2025-01-01", "resection_12m": True} for p in PATIENTS]
    assert score(write(tmp_path / "late.csv", late), tmp_path / "late.parquet", bundle, regimens="folfox") == 0
    assert "death_date, resection_12m" in capsys.readouterr().err
    assert score(write(tmp_path / "in.csv", PATIENTS), tmp_path / "out.parquet", bundle, regimens="folfox") == 0
    assert parquet.read_table(tmp_path / "late.parquet").equals(parquet.read_table(tmp_path / "out.parquet"))


def many(path: Path, n: int) -> Path:
    return write(path, [{**PATIENTS[i % 4], "age_years": 40 + i % 40} for i in range(n)])


class Ended(Exception):
    pass


def end_after(monkeypatch, parts: int) -> None:
    """End the run as a kill would, at the moment when so many parts are there."""
    real, written = Parts.write, []

    def write_part(self, *arguments) -> None:
        if len(written) == parts:
            raise Ended
        written.append(real(self, *arguments))

    monkeypatch.setattr(Parts, "write", write_part)


def test_an_ended_run_goes_on_where_it_was_and_makes_the_same_file(tmp_path, bundle, monkeypatch):
    data, options = many(tmp_path / "in.csv", 100), {"regimens": "folfox", "chunk": 10, "intervals": False}
    assert score(data, tmp_path / "whole.parquet", bundle, **options) == 0
    out = tmp_path / "out.parquet"
    with monkeypatch.context() as patched, pytest.raises(Ended):
        end_after(patched, 4)
        score(data, out, bundle, **options)
    assert not out.exists()
    assert Parts(out).finished() == {0, 1, 2, 3}
    times = {p: p.stat().st_mtime_ns for p in Parts(out).folder.glob("part-*.parquet")}
    kept = []
    real = Parts.finish
    monkeypatch.setattr(
        Parts,
        "finish",
        lambda self, *a: (kept.extend(p.stat().st_mtime_ns == t for p, t in times.items()), real(self, *a))[1],
    )
    assert score(data, out, bundle, resume=True, **options) == 0
    assert kept == [True] * 4
    assert parquet.read_table(out).equals(parquet.read_table(tmp_path / "whole.parquet"))


@pytest.mark.parametrize("change", ["data", "model", "chunk", "not asked"])
def test_a_run_of_something_else_is_not_gone_on_with(tmp_path, bundle, monkeypatch, capsys, change):
    data, out = many(tmp_path / "in.csv", 40), tmp_path / "out.parquet"
    options = {"regimens": "folfox", "chunk": 10, "intervals": False}
    with monkeypatch.context() as patched, pytest.raises(Ended):
        end_after(patched, 2)
        score(data, out, bundle, **options)
    model, resume = bundle, True
    if change == "data":
        many(data, 41)
    elif change == "model":
        from training.bundle import Manifest, rewrite_bundle

        manifest = Manifest.model_validate_json((bundle / "manifest.json").read_text())
        model = rewrite_bundle(bundle, tmp_path / "other", manifest.model_copy(update={"version": "5"}))
    elif change == "chunk":
        options["chunk"] = 20
    else:
        resume = False
    assert score(data, out, model, resume=resume, **options) == 2
    told = capsys.readouterr().err
    assert "--resume" in told if change == "not asked" else "what differs" in told
    assert not out.exists()


def test_several_processes_make_the_file_that_one_makes(tmp_path, bundle):
    data, options = many(tmp_path / "in.csv", 50), {"regimens": "folfox", "chunk": 20, "intervals": False}
    assert score(data, tmp_path / "one.parquet", bundle, **options) == 0
    assert score(data, tmp_path / "two.parquet", bundle, workers=2, **options) == 0
    assert parquet.read_table(tmp_path / "one.parquet").equals(parquet.read_table(tmp_path / "two.parquet"))


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on(tmp_path, bundle):
    data = many(tmp_path / "in.csv", 2000)
    script = "import sys; from pathlib import Path; from serving.scoring.command import run_score\n"
    script += "if __name__ == '__main__': sys.exit(run_score(Path(sys.argv[1]), Path(sys.argv[2]), model=sys.argv[3], "
    script += "regimens='folfox', chunk=100, workers=2, resume='--resume' in sys.argv, intervals=False))"
    file = tmp_path / "run.py"
    file.write_text(script)
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    begin = [sys.executable, str(file), str(data)]
    subprocess.run([*begin, str(whole), str(bundle)], env=environment, check=True)
    for parts in (0, 3, 12):
        process = subprocess.Popen([*begin, str(out), str(bundle), "--resume"], env=environment, start_new_session=True)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if Parts(out).folder.exists() and len(Parts(out).finished()) >= parts:
                break
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([*begin, str(out), str(bundle), "--resume"], env=environment, check=True)
    assert parquet.read_table(out).equals(parquet.read_table(whole))


def test_a_name_that_looks_like_a_slip_can_be_left_out_knowingly(tmp_path, bundle):
    data = write(tmp_path / "in.csv", [{**p, "albumin_gl": 3} for p in [{"age_years": 60}]])
    assert score(data, tmp_path / "out.parquet", bundle, regimens="folfox", ignore=["albumin_gl"]) == 0


def test_without_what_reads_files_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "serving.scoring.parts", None)
    assert run_score(tmp_path / "in.csv", tmp_path / "out.parquet") == 2
    assert "not installed" in capsys.readouterr().err
