"""What the routes answer with: a model that is ready, or the reasons why there is none.

An `Application` never changes. A worker puts another in its place by one assignment, and every request reads it
once, so that no answer mixes two models.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import BaseModel

from features import Problem, Specification
from serving.problems import Refusal
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.response import ResponseModels

log = logging.getLogger("resecta")

#: Name that a bundle must carry.
NAME = "resecta"


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

    @property
    def explain(self) -> type[BaseModel]:
        """Body of POST /explain."""

    @property
    def outcome(self) -> type[BaseModel]:
        """Body of POST /outcomes."""

    @property
    def estimate(self) -> type[BaseModel]:
        """Body of POST /estimates."""

    def message_for(self, loc: tuple[int | str, ...], error: Mapping[str, Any]) -> tuple[str, str, str]:
        """Word one of pydantic's errors: dotted path, code and message, none repeating the value."""


class Scorer(Protocol):
    """Answers requests that were found valid. `write_batch` is called from a thread of its own."""

    @property
    def model_card(self) -> Mapping[str, Any]:
        """Document of GET /model."""

    @property
    def specification_document(self) -> Mapping[str, Any]:
        """Document of GET /specification."""

    @property
    def digests(self) -> Mapping[str, str]:
        """What the ledger keeps of the model beside each answer: digest of the bundle, version of the code."""

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer to one patient, ready for JSON."""

    def write(self, request: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        """Return the answer to one patient as JSON, and of it what the ledger, the counts and a challenger read."""

    def write_batch(self, request: Mapping[str, Any]) -> Sequence[tuple[bytes, Mapping[str, Any]]]:
        """Return the same for many patients, in order."""

    def compare(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the differences between two regimens for one patient, ready for JSON."""

    def explain(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what moves one estimate, ready for JSON."""


class Ready(NamedTuple):
    """What answers, once both are there."""

    models: RequestModels
    scorer: Scorer


@dataclass(frozen=True, slots=True)
class RefusedModel:
    """A model that was named and is not served.

    Attributes
    ----------
    version
        Its version, as far as the registry or the bundle tells.
    code, reason
        What is wrong, machine-readable and in words; `/readyz` tells both without a token, so no place is named.
    """

    version: str | None
    code: str
    reason: str


class ModelRefused(Exception):
    """A model that must not be served."""

    def __init__(self, refused: RefusedModel) -> None:
        self.refused = refused
        super().__init__(refused.reason)


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
    spec
        The specification that all of these follow; there when `models` is.
    refused
        A later model that was named and is not served; what answers is the one before it.
    """

    models: RequestModels | None = None
    scorer: Scorer | None = None
    page: str = ""
    answers: ResponseModels | None = None
    evidence: str = ""
    refusals: tuple[Problem, ...] = field(default=(Problem("model", "starting", "The service is starting."),))
    spec: Specification | None = None
    refused: RefusedModel | None = None

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

    def without(self, refused: RefusedModel) -> Application:
        """Return what answers when another model was named and refused: the same as before, saying so."""
        if self.scorer is None:
            return replace(self, refusals=(Problem("model", refused.code, refused.reason),))
        return replace(self, refused=refused)


def assemble(settings: Settings) -> Application:
    """Load the specification and the model; what is wrong with either becomes a reason, never an exception.

    A service that cannot serve still says why on `/readyz`, and a restart would not cure it.
    """
    described = describe()
    if described.models is None:
        return described
    try:
        return load(described, settings.model, settings.store)
    except ModelRefused as error:
        return described.without(error.refused)


def describe() -> Application:
    """Read the specification, without a model: what may be asked, and that nothing is answered yet.

    The imports are here because the process that supervises the workers imports this module and answers nothing.
    """
    try:
        from features import SpecificationError, load_specification
        from serving.request import request_models
        from serving.response import response_models

        spec = load_specification()
        return Application(request_models(spec), answers=response_models(spec), spec=spec)
    except SpecificationError as error:
        return Application(refusals=(Problem("specification", "specification_invalid", str(error)),))
    except Exception as error:
        refused = _unexpected("specification", error)
        return Application(refusals=(Problem("specification", refused.code, refused.reason),))


def load(described: Application, model: str, store: Path) -> Application:
    """Load a model, try it, and return what answers with it; what answers meanwhile is not touched.

    Parameters
    ----------
    described
        Any application with the specification; its model has no part in it.
    model, store
        As `serving.source.find_bundle` takes them.

    Raises
    ------
    ModelRefused
        When there is none (``no_model``, ``no_registry``, ``no_artifacts``, ``no_bundle``, ``bad_model_address``),
        or it is ``missing``, not as it was sealed (``checksum``), of a later ``format``, of another specification
        (``digest``), ``malformed``, of another project (``foreign``), answers with what is no probability
        (``smoke``), or cannot be loaded for a reason that the log tells (``not_loadable``).
    """
    from serving.answer import Scorer as BundleScorer
    from serving.page import render_page
    from serving.smoke import smoke
    from serving.source import SourceRefused, find_bundle
    from serving.typical import typical
    from training.bundle import BundleRefused, load_bundle
    from training.bundle.evidence_page import effects_page

    version: str | None = None
    spec = described.spec
    assert spec is not None
    try:
        source = find_bundle(model, store)
        version = source.version
        bundle = load_bundle(source.folder, spec)
        version = version or bundle.manifest.version
        if bundle.manifest.name != NAME:
            raise BundleRefused("foreign", f"the bundle is of {bundle.manifest.name!r}; this service answers as {NAME}")
        smoke(bundle, spec)
        scorer = BundleScorer(bundle, spec, source.version)
        # The first patient must not pay for what is remembered from then on.
        nobody = scorer.answer({"patient": {}, "regimens": None, "profile": spec.flags.profiles[0]})
        scorer.model_card["typical"] = typical(nobody, spec)
        evidence = effects_page(bundle.prior.parameters, spec, stylesheet="static/evidence.css")
        page = render_page(spec, scorer.model_card)
    except SourceRefused as error:
        raise _told(RefusedModel(error.version, error.code, error.reason), str(error)) from None
    except BundleRefused as error:
        raise _told(RefusedModel(version, error.code, error.reason), str(error)) from None
    except Exception as error:
        raise ModelRefused(replace(_unexpected("model", error), version=version)) from None
    return replace(described, scorer=scorer, page=page, evidence=evidence, refusals=(), refused=None)


def _told(refused: RefusedModel, whole: str) -> ModelRefused:
    log.warning("Model refused (%s): %s", refused.code, whole)
    return ModelRefused(refused)


def _unexpected(field: str, error: Exception) -> RefusedModel:
    # No patient is near while a model is loaded, so the whole trace may be logged; the client gets the kind.
    log.error("Not ready: the %s could not be loaded", field, exc_info=error)
    message = f"The {field} could not be loaded ({type(error).__name__}); the log of the service says why."
    return RefusedModel(None, "not_loadable", message)
