"""What the figures of an evaluation are called, how they are written and which way is better."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal, Self

import yaml
from pydantic import Field as Attribute
from pydantic import TypeAdapter, model_validator

from features.field import Frozen
from validation.evaluation import Evaluation, Figure

#: The metric by which candidates are ranked.
HEADLINE = "log_loss"
#: The ratio that says whether as many events happen as are predicted.
RATIO = "observed_to_expected"


class ShownMetric(Frozen):
    """One metric as a reader meets it (metrics.yaml).

    Attributes
    ----------
    better
        Which way is better; ``near`` for figures that should be close to `ideal`; None when nothing is claimed.
    digits
        Of a figure; a difference has one more, because models differ by less than patients do.
    """

    name: str
    label: str
    better: Literal["lower", "higher", "near"] | None = None
    ideal: float | None = None
    digits: int = Attribute(default=3, ge=0, le=6)
    means: str = ""

    @model_validator(mode="after")
    def _ideal_when_near(self) -> Self:
        if (self.better == "near") != (self.ideal is not None):
            raise ValueError(f"{self.name}: `ideal` goes with `better: near`")
        return self

    @property
    def in_a_sentence(self) -> str:
        """The label as it stands inside a sentence: acronyms keep their capitals."""
        first = self.label.split()[0]
        return self.label if sum(c.isupper() for c in first) > 1 else self.label[0].lower() + self.label[1:]

    def written(self, value: float) -> str:
        """A figure with this metric's digits; a negative zero is written as zero."""
        return self._text(value, self.digits, sign="")

    def change(self, value: float, sign: bool = True) -> str:
        """A difference, with its sign unless the words around it say which way."""
        return self._text(value, self.digits + 1, sign="+" if sign else "")

    @staticmethod
    def _text(value: float, digits: int, sign: str) -> str:
        rounded = round(value, digits) + 0.0
        return f"{rounded:{sign if rounded else ''}.{digits}f}".replace("-", "\N{MINUS SIGN}")

    def bounds(self, figure: Figure, difference: bool = False) -> str | None:
        """The bounds of the interval of a figure or difference, or None where there is none."""
        if figure.low is None or figure.high is None:
            return None
        write = self.change if difference else self.written
        return f"{write(figure.low)} to {write(figure.high)}"

    def with_interval(self, figure: Figure, difference: bool = False) -> str:
        """A figure or difference with its interval, or the reason why there is none."""
        if figure.value is None:
            return f"not computed: {figure.reason or 'no reason was recorded'}"
        bounds = self.bounds(figure, difference)
        value = (self.change if difference else self.written)(figure.value)
        return value + (f" ({bounds})" if bounds else " (no interval)")


@cache
def catalogue() -> dict[str, ShownMetric]:
    """Metrics that have a label, by name, in the order of presentation."""
    text = (files("training.report") / "metrics.yaml").read_text("utf-8")
    listed = TypeAdapter(tuple[ShownMetric, ...]).validate_python(yaml.safe_load(text))
    return {metric.name: metric for metric in listed}


def shown(name: str) -> ShownMetric:
    """The metric of that name; one that is not listed is shown under its own name and claims nothing."""
    return catalogue().get(name) or ShownMetric(name=name, label=name.replace("_", " ").capitalize())


def metrics_of(evaluation: Evaluation) -> tuple[ShownMetric, ...]:
    """Every metric that an evaluation holds, listed ones first."""
    return in_order(m for model in evaluation.models for o in model.outcomes.values() for m in o.metrics)


def in_order(names: Iterable[str]) -> tuple[ShownMetric, ...]:
    """The metrics of the given names, each once: listed ones in the catalogue's order, then the others."""
    wanted = dict.fromkeys(names)
    known = [metric for name, metric in catalogue().items() if name in wanted]
    return (*known, *(shown(name) for name in wanted if name not in catalogue()))
