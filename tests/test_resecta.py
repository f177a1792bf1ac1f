"""The command line: lazy, helpful, and with exit codes a job can rely on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*words, store=None, **options):
    environment = {**os.environ, **({"RESECTA_STORE": str(store)} if store else {})}
    return subprocess.run(
        [sys.executable, "-m", "resecta", *words], capture_output=True, text=True, cwd=ROOT, env=environment, **options
    )


def test_help_names_every_command_and_loads_nothing_heavy():
    loaded = "import sys, resecta; print(*(m for m in ('numpy', 'pandas', 'mlflow', 'bentoml') if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, cwd=ROOT).stdout.strip() == ""
    told = run("--help").stdout
    for command in (
        "simulate",
        "validate",
        "train",
        "compare",
        "promote",
        "rollback",
        "retrain",
        "monitor",
        "export",
        "serve",
        "dictionary",
        "evidence",
        "score",
        "token",
        "ledger",
        "up",
    ):
        assert command in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("train",), 2, "--no-data"),
        (("train", "--no-data", "--data", "registry.csv"), 2, "either --data REGISTRY or --no-data"),
        (("validate", "no_such_file.csv"), 2, "does not exist"),
        (("simulate", "--patients", "3", "--sites", "6", "--out", "r.csv"), 2, "at least one patient"),
        (("export", "--model", "somewhere", "--out", "bundle_that_is_not_there"), 2, "models:/resecta@alias"),
        (("train", "--data", "x.csv", "--split", "alphabet"), 2, "alphabet"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed_and_a_usage_exit(words, code, said, tmp_path):
    done = run(*words, store=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_refuses_another_host_without_a_token(tmp_path):
    done = run("serve", "--host", "0.0.0.0", store=tmp_path, timeout=60)
    assert done.returncode == 2
    assert "RESECTA_TOKEN" in done.stderr


def test_training_refuses_a_registry_that_did_not_pass_and_registers_nothing(tmp_path):
    registry = tmp_path / "registry.csv"
    assert run("simulate", "--patients", "60", "--sites", "3", "--seed", "3", "--out", str(registry)).returncode == 0
    lines = registry.read_text().splitlines()
    names = lines[0].split(",")
    row = lines[1].split(",")
    row[names.index("age_years")] = "140"
    registry.write_text("\n".join([lines[0], ",".join(row), *lines[2:]]) + "\n")
    done = run("train", "--data", str(registry), store=tmp_path / "store")
    assert done.returncode == 1
    assert "above_hard_limit" in done.stdout
    assert "nothing was trained" in done.stdout
    assert not (tmp_path / "store").exists()
