"""The BentoML service: ``bentoml serve serving.service:Resecta``.

BentoML runs the workers and sends them connections. What is answered is ours: `Gate` stands before every
route of BentoML's, and passes none of its own pages or endpoints on.
"""

from __future__ import annotations

import gc
import logging
import os

# Read by BentoML at its first event, so set before it is imported.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from serving.application import assemble
from serving.gate import Gate
from serving.measures import Measures
from serving.routes import Routes
from serving.settings import Settings

settings = Settings.from_environment(os.environ)
measures = Measures()
routes = Routes(measures, bench=settings.bench)


class Worker:
    """One process that answers: it loads the model once, ready or not."""

    def __init__(self) -> None:
        logging.getLogger("resecta").setLevel(logging.INFO)
        # Its lines hold addresses as they were sent, and BentoML's debug mode would show them.
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
        routes.application = assemble(settings)
        measures.ready(routes.application.scorer is not None)
        # What is loaded now lives as long as the process; left in the collector's sight it is walked again
        # and again, which shows as pauses of 100 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)


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
Resecta.add_asgi_middleware(Gate, routes=routes, measures=measures, token=settings.token)
