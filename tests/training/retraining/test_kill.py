"""A job killed with SIGKILL, at one point after another on the same store: the champion answers every time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("driver.py")
FULL = {"update": "full", "allow_simulated": True}

STAGES = (
    "lock",
    "sweep",
    "read",
    "validate",
    "cohort",
    "decide",
    "train",
    "evaluate",
    "register",
    "gate",
    "promote",
    "summary",
)
#: Between the steps of registering, of promoting and of closing the runs.
STEPS = (
    "finalize_logged_model#1",
    "update_model_version#1",
    "set_model_version_tag#1:complete",
    "set_registered_model_alias#1:challenger",
    "set_registered_model_alias#1:previous",
    "set_registered_model_alias#1:champion",
    "delete_registered_model_alias#1:challenger",
    "set_terminated#1:FINISHED",
)


def drive(registry: Path, store: Path, options: dict, *points: str) -> tuple[list[dict], str]:
    command = [sys.executable, str(DRIVER), str(registry), str(store), json.dumps(options), *points]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["point"] for one in found] == list(points), done.stderr[-3000:]
    return found, done.stderr


def assert_in_order(found: dict) -> None:
    assert found["answers"]
    assert found["aliases_on_incomplete"] == []
    assert found["incomplete"] == []
    assert found["running"] == 0
    assert found["scratch"] == []


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The first jobs on a store, killed; one that is not; then several at once.

    The source is missing, so that a job that nobody kills ends after the sweep and the evidence's registration.
    """
    folder = tmp_path_factory.mktemp("begun")
    points = ("create_experiment#1", "set_model_version_tag#1:complete", "set_registered_model_alias#1:champion")
    found, said = drive(folder / "missing.csv", folder / "store", {}, *points, "", "together")
    return found, said, folder / "store"


def test_a_store_whose_first_jobs_are_killed_is_made_whole_by_the_next(begun):
    *killed, last, _ = begun[0]
    assert all(one["killed"] for one in killed)
    assert [one["incomplete"] for one in killed] == [[], ["1"], []]
    assert not any(one["aliases_on_incomplete"] for one in killed)
    assert last["code"] == 5
    assert_in_order(last)


def test_of_two_jobs_at_once_the_second_says_who_holds_the_store_or_waits(begun):
    found, said, store = begun
    # The first and the one that waits end at the missing source; the second does not come so far.
    assert found[-1]["codes"] == [5, 4, 5]
    assert "held by retrain (process" in said
    assert len(list((store / "retraining").glob("*.md"))) == 3


@pytest.mark.slow
def test_killed_at_any_stage_or_step_the_champion_answers_and_the_next_job_finishes(small, tmp_path):
    points = ("", *STAGES, *STEPS, "")
    (first, *killed, last), _ = drive(small, tmp_path / "store", FULL, *points)
    assert first["code"] == 0
    for one in killed:
        assert one["killed"], f"the job was over before {one['point']}"
        assert one["answers"], one
        assert one["aliases_on_incomplete"] == [], one
    assert last["code"] == 0
    assert int(last["champion"]) > int(first["champion"])
    assert_in_order(last)
