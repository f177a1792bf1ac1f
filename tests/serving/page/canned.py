"""The real gate, routes and request models around answers that are known by heart."""

import json
import re
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import uvicorn
from playwright.sync_api import Page

from features import Part, load_specification
from serving.application import Application
from serving.gate import Gate
from serving.logs import Form
from serving.measures import Measures
from serving.page import render_page
from serving.request import request_models
from serving.response import response_models
from serving.routes import Routes
from serving.settings import Settings
from training.bundle import STATES

SPEC = load_specification()
PREDICTION = "0d9c8a4e-8f5e-4c3b-9a57-5f1f4c7f6f10"
OPEN_ALL = "document.querySelectorAll('details').forEach((part) => (part.open = true))"
VIEWS = ("rows", "people", "pair", "tradeoff", "why", "sources")


class CannedScorer:
    """Answers every regimen with the same numbers; flags follow the specification's own first entries."""

    model: ClassVar[dict[str, Any]] = {
        "name": "resecta",
        "version": "3",
        "learner": "evidence",
        "trained_on": {"kind": "evidence", "text": "Published studies.", "patients": 0, "data_digest": "0" * 64},
        "simulated": False,
        "spec_digest": SPEC.digest,
        "flags_version": SPEC.flags.version,
        "flags_digest": SPEC.flags_digest,
    }
    specification_document: ClassVar[dict[str, Any]] = {}
    digests: ClassVar[dict[str, str]] = {}

    typical: ClassVar[dict[str, Any]] = {
        "outcome": SPEC.outcomes.part(Part.PRIMARY).name,
        "regimens": [
            {"backbone": r.backbone, "biologic": r.biologic, "planned_cycles": r.planned_cycles, "probability": 0.3}
            for r in SPEC.regimens.all()
        ],
    }
    model_card: ClassVar[dict[str, Any]] = {**model, "created": "2026-01-01", "typical": typical}

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was asked and changed."""
        self.asked: list[Any] = []
        self.compared: list[Any] = []
        self.explained: list[Any] = []
        self.simulated = False

    def write(self, request: Any) -> tuple[bytes, dict[str, Any]]:
        """Answer each regimen that is asked, as JSON."""
        answer = self.answer(request)
        return json.dumps(answer, allow_nan=False).encode(), answer

    def answer(self, request: Any) -> dict[str, Any]:
        """Answer each regimen that is asked."""
        self.asked.append(request)
        regimens = [
            SPEC.regimens.regimen(r["backbone"], r["biologic"], r["planned_cycles"]) for r in request["regimens"]
        ]
        missing = [f for f in SPEC.asked if request["patient"][f.name] is None][:3]
        unusual = [q for f in SPEC.asked if (q := f.unusual(request["patient"][f.name]))]
        return {
            "prediction_id": PREDICTION,
            "model": {**self.model, "simulated": self.simulated},
            "warnings": [
                {"code": "LOW_SUPPORT", "severity": "warning", "field": None, "text": "No real patients stand behind."},
                *(
                    {"code": "OUT_OF_RANGE", "severity": "warning", "field": q.field, "text": q.message}
                    for q in unusual
                ),
            ],
            "assumed": [{"field": f.name, "label": f.label, "assumed": "60% this, 40% that"} for f in missing],
            "regimens": [_regimen(r) for r in regimens],
        }

    def compare(self, request: Any) -> dict[str, Any]:
        """Answer that the first is a little higher in the primary outcome and clearly lower in surgery avoided."""
        self.compared.append(request)
        tree = SPEC.outcomes
        names = [o.name for o in tree.outcomes if o.given is None] + list(STATES)
        differences = {n: _difference(0.03, -0.08, 0.14, "no reliable difference") for n in names}
        differences[STATES[0]] = _difference(-0.06, -0.1, -0.004, "lower; the whole 90% range lies below zero")
        pair = [SPEC.regimens.regimen(r["backbone"], r["biologic"]) for r in request["regimens"]]
        told = [_regimen(r) for r in pair]
        return {
            "prediction_id": PREDICTION,
            "model": self.model,
            "warnings": [],
            "assumed": [],
            "first": pair[0].label,
            "second": pair[1].label,
            "regimens": [
                {name: value for name, value in r.items() if name not in ("outcomes", "states", "state_ranges")}
                for r in told
            ],
            "differences": differences,
        }

    def explain(self, request: Any) -> dict[str, Any]:
        """Answer three drivers, and two fields that are not known."""
        self.explained.append(request)
        outcome = SPEC.outcomes[request["outcome"]]
        regimen = SPEC.regimens.regimen(request["regimen"]["backbone"], request["regimen"]["biologic"])
        first, second = SPEC.asked[8], SPEC.asked[30]
        return {
            "prediction_id": PREDICTION,
            "model": self.model,
            "outcome": outcome.name,
            "label": outcome.label,
            "given": outcome.given,
            "regimen": regimen.label,
            "typical": 0.3,
            "probability": 0.38,
            "drivers": [
                {"label": "Age", "value": "54 years", "points": 0.12},
                {"label": "Platelets", "value": "180 10^9/L", "points": -0.037},
                {"label": "Albumin", "value": "39 g/L", "points": -0.003},
            ],
            "unknown": [
                {"field": first.name, "label": first.label, "low": 0.2, "high": 0.55},
                {"field": second.name, "label": second.label, "low": 0.31, "high": 0.4},
            ],
            "words": "Associations.",
        }


def _difference(difference: float, low: float, high: float, words: str) -> dict[str, Any]:
    return {"difference": difference, "low": low, "high": high, "words": words}


def _regimen(regimen: Any) -> dict[str, Any]:
    tree = SPEC.outcomes
    conditional: dict[str, Any] = {o.name: 0.5 for o in tree.outcomes}
    conditional |= {tree.part(Part.RESECTION).name: 0.42, tree.part(Part.PRIMARY).name: 0.9}
    conditional |= {tree.outcomes[-1].name: 0.004}
    estimates: dict[str, Any] = tree.product(conditional)
    resected = 0.42
    major = resected * estimates[tree.part(Part.COMPLICATION).name]
    states = (1 - resected, resected - major, major)
    flags = [
        {"code": "EVERYWHERE", "severity": "info", "status": "present", "text": "For all.", "source": "A"},
        {"code": "OPEN", "severity": "warning", "status": "unknown", "text": "If known.", "source": "B"},
    ]
    if regimen.biologic == "panitumumab":
        barred = {"code": "BARRED", "severity": "contraindicated", "status": "present"}
        flags.insert(0, {**barred, "text": "Not this one.", "source": "A label"})
    return {
        "backbone": regimen.backbone,
        "biologic": regimen.biologic,
        "planned_cycles": regimen.planned_cycles,
        "planned_weeks": regimen.planned_weeks,
        "label": regimen.label,
        "outcomes": {
            name: {
                "probability": p,
                "low": 0.7 * p,
                "high": min(1.0, 1.3 * p),
                **({"given": tree[name].given} if tree[name].given else {}),
            }
            for name, p in estimates.items()
        },
        "states": dict(zip(STATES, states, strict=True)),
        "state_ranges": {
            name: {"low": 0.8 * p, "high": min(1.0, 1.2 * p)} for name, p in zip(STATES, states, strict=True)
        },
        "support": {"level": "none", "effective_patients": 0, "text": "Published evidence alone."},
        "flags": flags,
    }


class Served:
    """The service in a thread, on a free port."""

    def __init__(self, token: str | None = None) -> None:
        self.scorer = CannedScorer()
        page = render_page(SPEC, self.scorer.model_card)
        application = Application(request_models(SPEC), self.scorer, page, response_models(SPEC), refusals=())
        routes = Routes(Measures(), application)
        gate = Gate(_behind, routes, routes.measures, Settings(token=token, store=Path("/nowhere"), log=Form.OFF))
        config = uvicorn.Config(gate, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"

    def stop(self) -> None:
        """Stop answering."""
        self.server.should_exit = True
        self.thread.join(5)


async def _behind(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nothing reaches what stands behind the gate")


def estimate(page: Page) -> None:
    """Press Estimate and wait for the answer."""
    page.click("#estimate")
    page.wait_for_selector("#answer:not(.stale) table.regimens", state="attached")


def untick_all_but(page: Page, *labels: str) -> None:
    """Tick the regimens of these labels and no other."""
    page.click("#none")
    for label in labels:
        backbone, _, biologic = label.partition(" + ")
        row = page.locator("fieldset.backbone", has=page.locator("legend", has_text=re.compile(f"^{backbone}$")))
        row.get_by_label(f"+ {biologic}" if biologic else "no biologic").check(force=True)
