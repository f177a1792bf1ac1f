"""A BentoML service that answers a constant: what BentoML itself costs, beside which ours is measured.

``bentoml serve benchmarks.constant:Constant``
"""

from __future__ import annotations

import os

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml


@bentoml.service(name="constant", workers=int(os.environ.get("RESECTA_WORKERS", "1")), metrics={"enabled": False})
class Constant:
    @bentoml.api
    def constant(self, patient: dict) -> dict:  # type: ignore[type-arg]
        return {}
