"""Clinical risk scores from the literature, declared in data and computed only where their inputs are known."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field as Attribute
from pydantic import model_validator

from features import Kind, Patients, Specification, SpecificationError, Time
from features.derived import months_between
from features.field import Frozen
from features.rule import Condition
from validation.answers import answers, complaints

Array = NDArray[np.float64]


class Source(Frozen):
    """Where a score was published."""

    author: str
    year: int
    journal: str
    pmid: str | None = None
    doi: str | None = None

    def __str__(self) -> str:
        return f"{self.author} {self.year}, {self.journal}"


class Interval(Frozen):
    """Months between two recorded dates, a fact that items may ask for."""

    name: str
    start: str = Attribute(alias="from")
    end: str = Attribute(alias="to")


class Item(Frozen):
    """Points for a condition that holds."""

    label: str
    points: float
    when: Condition


class Score(Frozen):
    """One published score.

    Attributes
    ----------
    made_for
        What its authors predicted, its range and its direction.
    departs
        In what this computation departs from the publication.
    items, value
        Points that add up, or the numeric field that is the score; exactly one of them.
    missing
        When the score is not known, in words.
    intervals
        Intervals that the items may ask for.
    """

    name: str
    label: str
    source: Source
    made_for: str
    departs: str
    items: tuple[Item, ...] = ()
    value: str | None = None
    missing: str
    intervals: tuple[Interval, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.items) == (self.value is not None):
            raise ValueError("give either items or a value")
        return self

    def points(self, patients: Patients) -> Array:
        """The score of each patient, shape (n,); NaN where an input is not known."""
        if self.value is not None:
            return np.array(patients[self.value])
        computed = {i.name: months_between(patients[i.start], patients[i.end]) for i in self.intervals}
        # NaN in any item makes the sum NaN, which is the rule for missing inputs.
        return np.sum([item.points * answers(item.when, patients, computed) for item in self.items], axis=0)

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification, or that is known only after baseline."""
        computed = frozenset(i.name for i in self.intervals)
        named = {f for item in self.items for f in item.when.facts()}
        found = [
            c for item in self.items for c in complaints(f"score {self.name}: {item.label}", item.when, spec, computed)
        ]
        if self.value is not None:
            named.add(self.value)
            if self.value not in spec.derived and not (self.value in spec.fields and spec.fields[self.value].numeric):
                found.append(f"score {self.name}: {self.value} is not a numeric field or derived field")
        for interval in self.intervals:
            if interval.name not in named:
                continue
            for date in (interval.start, interval.end):
                named.add(date)
                if date not in spec.fields or spec.fields[date].kind is not Kind.DATE:
                    found.append(f"score {self.name}: interval {interval.name}: {date} is not a date field")
        for name in sorted(named - computed):
            known = spec.fields.get(name) or spec.derived.get(name)
            if known is not None and not known.known_at.by(Time.BASELINE):
                found.append(f"score {self.name}: {name} is known only at {known.known_at.value}")
        return found


def parse_scores(data: dict[str, Any], spec: Specification) -> tuple[Score, ...]:
    """Parse declared scores and check them.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    intervals = data.get("intervals", [])
    scores = tuple(Score.model_validate({**entry, "intervals": intervals}) for entry in data["scores"])
    found = [c for score in scores for c in score.complaints(spec)]
    names = [score.name for score in scores]
    found += [f"score {name} is declared twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if found:
        raise SpecificationError("\n".join(found))
    return scores


@lru_cache(maxsize=4)
def load_scores(spec: Specification) -> tuple[Score, ...]:
    """Load the scores that ship with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    return parse_scores(yaml.safe_load((files("validation") / "scores.yaml").read_text("utf-8")), spec)
