"""The average patient, beside whom a patient's own estimate is read: what a regimen gives when nothing is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features import Part, Specification
from serving.wording import cycles_field


def typical(answer: Mapping[str, Any], spec: Specification) -> dict[str, Any]:
    """Say what the average patient may expect of the primary outcome, regimen by regimen.

    Parameters
    ----------
    answer
        What the model answers to a patient of whom nothing is known: every input is averaged over the case mix that
        the bundle carries, that of the published studies.

    Returns
    -------
    dict
        ``outcome``, and ``regimens`` in the order of the answer: how each is asked for, and its ``probability``.
    """
    outcome = spec.outcomes.part(Part.PRIMARY).name
    asked = ("backbone", "biologic", cycles_field(spec).name)
    return {
        "outcome": outcome,
        "regimens": [
            {**{name: one[name] for name in asked}, "probability": one["outcomes"][outcome]["probability"]}
            for one in answer["regimens"]
        ],
    }
