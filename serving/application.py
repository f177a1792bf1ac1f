"""What the routes answer with: a model that is ready, or the reasons why there is none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import BaseModel

from features import Problem
from serving.problems import Refusal
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.response import ResponseModels

log = logging.getLogger("resecta")


class RequestModels(Protocol):
    """The bodies that are accepted, derived from the specification."""

    @property
    def predict(self) -> type[BaseModel]:
        """Body of POST /predict."""

    @property
    def batch(self) -> type[BaseModel]:
        """Body of POST /predict_batch."""

    @property
    def compare(self) -> type[BaseModel]:
        """Body of POST /compare."""

    def message_for(self, loc: tuple[int | str, ...], error: Mapping[str, Any]) -> tuple[str, str, str]:
        """Word one of pydantic's errors: dotted path, code and message, none repeating the value."""


class Scorer(Protocol):
    """Answers requests that were found valid. `answer_batch` is called from a thread of its own."""

    @property
    def model_card(self) -> Mapping[str, Any]:
        """Document of GET /model."""

    @property
    def specification_document(self) -> Mapping[str, Any]:
        """Document of GET /specification."""

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer to one patient, ready for JSON."""

    def answer_batch(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answers to many patients under the key `predictions`, ready for JSON."""

    def compare(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the differences between two regimens for one patient, ready for JSON."""


class Ready(NamedTuple):
    """What answers, once both are there."""

    models: RequestModels
    scorer: Scorer


@dataclass(frozen=True)
class Application:
    """What one worker answers with.

    Attributes
    ----------
    models
        The bodies that are accepted; None when the specification itself cannot be read.
    scorer
        The model; None when it cannot be served.
    page
        The web page, written once: it holds no patient.
    evidence
        The page of the evidence behind the model, written once.
    answers
        What the answers look like, for the OpenAPI document; there when `models` is.
    refusals
        Why there is no model; empty exactly when `scorer` is there.
    """

    models: RequestModels | None = None
    scorer: Scorer | None = None
    page: str = ""
    answers: ResponseModels | None = None
    evidence: str = ""
    refusals: tuple[Problem, ...] = field(default=(Problem("model", "starting", "The service is starting."),))

    def ready(self) -> Ready:
        """Return what answers.

        Raises
        ------
        Refusal
            503 with every reason, when there is no model.
        """
        if self.models is None or self.scorer is None:
            raise Refusal(503, self.refusals)
        return Ready(self.models, self.scorer)


def assemble(settings: Settings) -> Application:
    """Load the specification and the model; what is wrong with either becomes a reason, never an exception.

    A service that cannot serve still says why on `/readyz`, and a restart would not cure it. The imports are
    here because the process that supervises the workers imports this module and answers nothing.
    """
    try:
        from features import SpecificationError, load_specification
        from serving.request import request_models
        from serving.response import response_models

        spec = load_specification()
        models, answers = request_models(spec), response_models(spec)
    except SpecificationError as error:
        return Application(refusals=(Problem("specification", "specification_invalid", str(error)),))
    except Exception as error:
        return Application(refusals=(_unexpected("specification", error),))

    from serving.answer import Scorer as BundleScorer
    from serving.page import render_page
    from serving.source import SourceRefused, find_bundle
    from training.bundle import BundleRefused, load_bundle
    from training.bundle.evidence_page import effects_page

    try:
        source = find_bundle(settings.model, settings.store)
        bundle = load_bundle(source.folder, spec)
        scorer = BundleScorer(bundle, spec, source.version)
        evidence = effects_page(bundle.prior.parameters, spec, stylesheet="static/evidence.css")
        page = render_page(spec, scorer.model_card)
    except (SourceRefused, BundleRefused) as error:
        log.warning("Not ready: %s", error.reason)
        return Application(models, answers=answers, refusals=(Problem("model", error.code, error.reason),))
    except Exception as error:
        return Application(models, answers=answers, refusals=(_unexpected("model", error),))
    return Application(models, scorer, page, answers, evidence, refusals=())


def _unexpected(field: str, error: Exception) -> Problem:
    # No patient is near while a model is loaded, so the whole trace may be logged; the client gets the kind.
    log.error("Not ready: the %s could not be loaded", field, exc_info=error)
    message = f"The {field} could not be loaded ({type(error).__name__}); the log of the service says why."
    return Problem(field, "not_loadable", message)
