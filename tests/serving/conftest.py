"""A service without a process: the real gate, routes and request models, around a scorer that answers at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, ClassVar

import httpx
import pytest

from features import load_specification
from serving.application import Application
from serving.gate import Gate
from serving.measures import Measures
from serving.request import RequestModels, request_models
from serving.routes import Routes


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

    def __init__(self, does: Callable[[Any], None] = lambda request: None) -> None:
        self.does = does

    def answer(self, request: Any) -> dict[str, Any]:
        self.does(request)
        flags = [{"code": "dpyd_untested", "status": "unknown"}]
        return {"regimens": [{"backbone": "folfox", "probability": 0.25, "flags": flags}]}

    def answer_batch(self, request: Any) -> dict[str, Any]:
        return {"predictions": [self.answer(patient) for patient in request["patients"]]}


class Front:
    """The gate and the routes, and what they were built with."""

    def __init__(self, application: Application, token: str | None = None, **options: Any) -> None:
        self.measures = Measures()
        self.routes = Routes(self.measures, application, bench=True)
        self.gate = Gate(self._behind, self.routes, self.measures, token, **options)
        self.reached_behind: list[str] = []

    async def _behind(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached_behind.append(scope["type"])

    @asynccontextmanager
    async def client(self, address: str = "http://127.0.0.1:3000", **options: Any) -> AsyncIterator[Any]:
        transport = httpx.ASGITransport(self.gate)
        async with httpx.AsyncClient(transport=transport, base_url=address, **options) as client:
            yield client


def small_application(does: Callable[[Any], None] = lambda request: None) -> Application:
    return Application(real_models(), SmallScorer(does), "<!doctype html><title>Resecta</title>", refusals=())


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
