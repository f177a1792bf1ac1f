"""A service without a process: the real gate, routes and request models, around a scorer that answers at once."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import yaml

from features import INTERCEPT, load_specification
from serving.application import Application
from serving.gate import Gate
from serving.logs import Form
from serving.measures import Measures
from serving.request import RequestModels, request_models
from serving.response import response_models
from serving.routes import Routes
from serving.settings import Settings
from training.bundle import CaseMix, Manifest, OutcomeModel, PriorParameters, Support, TrainedOn, save_bundle
from training.bundle.coefficients import Coefficient, OutcomePrior

ROOT = Path(__file__).resolve().parents[2]


@lru_cache
def real_models() -> RequestModels:
    return request_models(load_specification())


class SmallScorer:
    """Answers a constant; `does` runs first, so that a test can make it fail or wait."""

    model_card: ClassVar[dict[str, Any]] = {
        "name": "resecta",
        "version": "7",
        "spec_digest": "abc",
        "simulated": False,
    }
    specification_document: ClassVar[dict[str, Any]] = {"fields": []}
    digests: ClassVar[dict[str, str]] = {}

    def __init__(self, does: Callable[[Any], None] = lambda request: None) -> None:
        self.does = does

    def answer(self, request: Any) -> dict[str, Any]:
        self.does(request)
        flags = [{"code": "dpyd_untested", "severity": "caution", "status": "unknown"}]
        return {"regimens": [{"backbone": "folfox", "biologic": "none", "probability": 0.25, "flags": flags}]}

    def write(self, request: Any) -> tuple[bytes, dict[str, Any]]:
        answer = self.answer(request)
        return json.dumps(answer, allow_nan=False).encode(), answer

    def write_batch(self, request: Any) -> list[tuple[bytes, dict[str, Any]]]:
        return [self.write(patient) for patient in request["patients"]]


class Front:
    """The gate and the routes, and what they were built with."""

    def __init__(self, application: Application, token: str | None = None, **options: Any) -> None:
        options.setdefault("settings", Settings(token=token, store=Path("/nowhere"), log=Form.OFF))
        self.measures = Measures()
        self.routes = Routes(self.measures, application, bench=True)
        self.gate = Gate(self._behind, self.routes, self.measures, **options)
        self.reached_behind: list[str] = []

    async def _behind(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached_behind.append(scope["type"])

    @asynccontextmanager
    async def client(self, address: str = "http://127.0.0.1:3000", **options: Any) -> AsyncIterator[Any]:
        transport = httpx.ASGITransport(self.gate)
        async with httpx.AsyncClient(transport=transport, base_url=address, **options) as client:
            yield client


def small_application(does: Callable[[Any], None] = lambda request: None) -> Application:
    return Application(
        real_models(),
        SmallScorer(does),
        "<!doctype html><title>Resecta</title>",
        response_models(load_specification()),
        refusals=(),
    )


@pytest.fixture
def front() -> Callable[..., Front]:
    """Make a front around an application, the small one when none is given."""

    def make(application: Application | None = None, **options: Any) -> Front:
        return Front(application or small_application(), **options)

    return make


@pytest.fixture
def small() -> Callable[..., Application]:
    """Make the small application around something that scoring does."""
    return small_application


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """A sealed bundle folder whose prior knows nothing but how frequent each outcome is."""
    spec = load_specification()
    case_mix = yaml.safe_load((ROOT / "training" / "evidence" / "data" / "case_mix.yaml").read_text("utf-8"))
    level = Coefficient(term=INTERCEPT, mean=-0.5, sd=0.2, basis="judgement")
    names = spec.outcomes.names
    parameters = PriorParameters(
        evidence_digest="0" * 64,
        outcomes=tuple(OutcomePrior(outcome=n, coefficients=(level,), covariance=((0.04,),)) for n in names),
        case_mix=CaseMix.model_validate(case_mix),
    )
    manifest = Manifest(
        name="resecta",
        learner="evidence",
        created="2026-01-01T00:00:00+00:00",
        code_version="test",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="evidence", text="A test", data_digest="0" * 64),
        outcomes=tuple(OutcomeModel(outcome=n, learner="evidence") for n in names),
    )
    return save_bundle(tmp_path_factory.mktemp("model") / "bundle", manifest, parameters, spec, Support())
