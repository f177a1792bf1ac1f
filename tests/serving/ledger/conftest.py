"""Ledgers in folders of their own, and predictions to write into them."""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from features import load_specification
from serving.ledger import Caller, Kind, Ledger, Prediction

KEY = "0123456789abcdef" * 4
PATIENT = {"age_years": 61, "n_liver_metastases": 8, "ras_status": "wt"}


@pytest.fixture(scope="session")
def spec():
    return load_specification()


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def predicted(spec) -> Callable[..., Prediction]:
    """Make a prediction of the size of a real one, with every outcome at 0.4 under every regimen."""

    def make(version: str = "1", **options: Any) -> Prediction:
        chance = {"probability": 0.4, "low": 0.3, "high": 0.5}
        flags = [{"code": "RAS_UNKNOWN", "status": "unknown", "text": "Not tested. " * 30, "severity": "caution"}] * 8
        answer = {
            "prediction_id": str(uuid.uuid4()),
            "model": {"name": "resecta", "version": version, "spec_digest": spec.digest},
            "assumed": [{"field": "sex", "label": "Sex", "assumed": "half"}],
            "regimens": [
                {
                    "backbone": r.backbone,
                    "biologic": r.biologic,
                    "planned_cycles": r.planned_cycles,
                    "outcomes": dict.fromkeys(spec.outcomes.names, chance),
                    "flags": flags,
                }
                for r in spec.regimens.all()
            ],
        }
        request = {"patient": {**PATIENT, "sex": None}, "regimens": None, "profile": "eu"}
        return Prediction(answer, json.dumps(answer).encode(), request, 4.2, **{"caller": Caller("board"), **options})

    return make


@pytest.fixture
def looked(spec) -> Callable[[], tuple[Prediction, Prediction]]:
    """Make a comparison of two regimens and an explanation of one estimate, for the patient of `predicted`."""
    model = {"name": "resecta", "version": "1", "spec_digest": spec.digest}
    regimens = [{"backbone": r.backbone, "biologic": r.biologic} for r in spec.regimens.all()[:2]]
    asks = {
        Kind.COMPARISON: ({"regimens": regimens}, {"differences": {"conversion_12m": {"difference": 0.1}}}),
        Kind.EXPLANATION: ({"regimen": regimens[0]}, {"outcome": "conversion_12m", "probability": 0.4}),
    }

    def make() -> tuple[Prediction, Prediction]:
        drafts = []
        for kind, (asked, told) in asks.items():
            answer = {"prediction_id": str(uuid.uuid4()), "model": model, **told}
            request = {"patient": PATIENT, **asked}
            drafts.append(Prediction(answer, json.dumps(answer).encode(), request, 4.2, Caller("board"), kind=kind))
        return drafts[0], drafts[1]

    return make


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(file, spec) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{file}", KEY, spec=spec) as opened:
        yield opened


@pytest.fixture
def forced(file) -> Callable[..., None]:
    """Change the file as somebody with access to it could: without the triggers."""

    def change(*statements: str) -> None:
        with sqlite3.connect(file, isolation_level=None) as connection:
            for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
                connection.execute(f"drop trigger {name}")
            for statement in statements:
                connection.execute(statement)

    return change
