"""The lock files agree, name no registry, and docs/dependencies.md explains every direct dependency."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: From the smallest to the largest; each holds the one before.
LOCKS = ("requirements-serve.lock", "requirements.lock", "requirements-dev.lock")
LISTS = tuple(lock.replace(".lock", ".in") for lock in LOCKS)
#: What the image must never carry.
TRAINING = {"great-expectations", "matplotlib", "mlflow", "mlflow-skinny", "pandas", "scikit-learn"}


def lines(file: str) -> list[str]:
    return (ROOT / file).read_text(encoding="utf-8").splitlines()


def locked(file: str) -> dict[str, str]:
    return dict(line.split("==") for line in lines(file))


def listed(file: str) -> list[str]:
    wanted = [line for line in lines(file) if line and not line.startswith(("#", "-r "))]
    return [re.split(r"[<>=!~ ]", line)[0] for line in wanted]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_and_exact_versions_and_nothing_else(lock):
    assert [line for line in lines(lock) if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []


@pytest.mark.parametrize(("smaller", "larger"), list(pairwise(LOCKS)))
def test_a_smaller_lock_is_part_of_the_larger_one(smaller, larger):
    assert locked(smaller).items() <= locked(larger).items()


@pytest.mark.parametrize(("wanted", "lock"), list(zip(LISTS, LOCKS, strict=True)))
def test_every_package_asked_for_is_locked(wanted, lock):
    assert set(listed(wanted)) <= set(locked(lock)), "run `make lock`"


def test_the_image_carries_nothing_that_trains():
    assert TRAINING.isdisjoint(locked(LOCKS[0]))


def test_every_package_asked_for_is_explained_once_and_nothing_else_is():
    explained = re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs" / "dependencies.md").read_text("utf-8"), re.MULTILINE)
    explained = [name for name in explained if name not in ("lock", "package")]
    assert sorted(explained) == sorted(name for file in LISTS for name in listed(file))
