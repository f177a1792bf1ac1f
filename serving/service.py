"""The BentoML service: ``bentoml serve serving.service:Resecta``.

BentoML runs the workers and sends them connections. What is answered is ours: `Gate` stands before every
route of BentoML's, and passes none of its own pages or endpoints on.
"""

from __future__ import annotations

import logging
import os
import sys

# Read by BentoML at its first event, so set before it is imported.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

from serving.lean import OPTIONAL, absent

# Before anything of ours imports it.
with absent(OPTIONAL):
    import xgboost  # noqa: F401

import bentoml

from serving.application import assemble, describe
from serving.connection import bound_connections
from serving.gate import Gate
from serving.launch import end_with_parent
from serving.logs import write_events
from serving.measures import Measures
from serving.recorder import Recorder, ledger_opener
from serving.routes import Routes
from serving.settings import Settings
from serving.shadow import Shadow
from serving.source import fingerprint
from serving.succession import Succession, at_rest
from serving.traces import open_traces

settings = Settings.from_environment(os.environ)
measures = Measures()
routes = Routes(measures, bench=settings.bench)


class Worker:
    """One process that answers: it loads the model, ready or not, and each later one that takes its place."""

    def __init__(self) -> None:
        end_with_parent()
        write_events(settings.log)
        # Answers to single patients share the interpreter with threads that score batches and write what was left to
        # them: at 5 ms, Python's default, each turn of the others would be a wait as long as an answer takes.
        sys.setswitchinterval(0.0005)
        # Its lines hold addresses as they were sent, and BentoML's debug mode would show them.
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
        # Before it is loaded: what changes meanwhile is then seen as a change.
        seen = fingerprint(settings.model, settings.store)
        routes.recorder = Recorder(ledger_opener(os.environ, settings.store), measures)
        routes.recorder.begin()
        routes.application = assemble(settings)
        at_rest()
        Succession(routes, settings.model, settings.store, measures, seen=seen).start()
        if settings.shadow is not None:
            routes.shadow = Shadow(describe(), recorder=routes.recorder.shadowed, counter=measures)
            routes.shadow.start()
            Succession(routes.shadow, settings.shadow, settings.store).start()


Resecta = bentoml.service(
    name="resecta",
    description="For one patient and each regimen: conversion, complications, and liver injury.",
    workers=settings.workers,
    http={"host": settings.host, "port": settings.port},
    # See serving.measures; BentoML's access log would name addresses as they were sent.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # An operator who wants traces names what to exclude in BentoML's own configuration.
    tracing={"excluded_urls": ".*"},
    envs=[
        # One thread a booster: the workers are the parallelism, and spinning threads starve one another.
        {"name": "OMP_NUM_THREADS", "value": "1"},
        {"name": "GOMP_SPINCOUNT", "value": "1000"},
        {"name": "BENTOML_DO_NOT_TRACK", "value": "True"},
        {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"},
    ],
)(Worker)
# Read where the worker builds its server, after this module.
bound_connections()
Resecta.add_asgi_middleware(Gate, routes=routes, measures=measures, settings=settings, traces=open_traces)
