"""Vocabulary: what the words of an arms table mean, and the structure of the meta-regression (meta_regression.yaml)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

import yaml

from features import Specification
from features.field import Frozen
from training.evidence.population import Populations
from training.evidence.tables import Cell, data_folder

Belief = tuple[float, float]  # mean and standard deviation, log odds


class RateKind(Frozen):
    """What a column of an arms table counts.

    Attributes
    ----------
    column
        ``<column>_n`` and ``<column>_pct`` hold counts and percentages.
    outcome
        Outcome of the specification that it speaks to.
    words, unless
        Words of the definition that tell it from other kinds in the same column.
    """

    name: str
    column: str
    outcome: str
    words: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()

    def fits(self, definition: str) -> bool:
        """Whether a definition in words is of this kind."""
        return any(w in definition for w in self.words) and not any(w in definition for w in self.unless)


class Covariate(Frozen):
    """One thing that tells arms apart besides the regimen: words of a column, or a centred number.

    Attributes
    ----------
    loose
        Whether studies mean different things by it, so that their rates of surgery differ more than others'.
    """

    name: str
    column: str
    words: tuple[str, ...] = ()
    center: float | None = None
    per: float = 1.0
    linked: bool = False
    loose: bool = False
    response: Belief
    surgery: Belief

    def value(self, cell: Cell) -> float:
        """Value for a cell; a missing number counts as the centre."""
        if self.center is not None:
            return (float(cell) - self.center) / self.per if isinstance(cell, float | int) else 0.0
        return float(any(w in str(cell or "").lower() for w in self.words))


class Effect(Frozen):
    """One effect of regimens or molecular selection: a sum of terms of the encoding."""

    name: str
    terms: dict[str, float]
    linked: bool = False
    response: Belief
    surgery: Belief


class Vocabulary(Frozen):
    """Everything that meta_regression.yaml declares."""

    kinds: tuple[RateKind, ...]
    levels: dict[str, Belief]
    covariates: tuple[Covariate, ...]
    effects: tuple[Effect, ...]
    hyper: dict[str, Belief]
    deviation: float
    backbones: dict[str, dict[str, float]]
    biologics: dict[str, dict[str, float]]
    selections: dict[str, dict[str, float]]
    populations: tuple[str, ...]
    entries: tuple[str, ...]
    partners: tuple[str, ...]
    antibodies: tuple[str, ...]
    contains: dict[str, tuple[str, ...]]

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms of the encoding that some effect is a sum of."""
        return tuple(dict.fromkeys(term for effect in self.effects for term in effect.terms))

    def complaints(self, spec: Specification, populations: Populations) -> list[str]:
        """Every entry that does not fit the specification or the populations."""
        found = [
            f"kind {k.name}: unknown outcome {k.outcome}" for k in self.kinds if k.outcome not in spec.outcomes.names
        ]
        found += [f"unknown term {t}" for t in self.terms if t not in spec.encoding.terms]
        known = {
            "backbone": {b.name for b in spec.regimens.backbones},
            "biologic": {b.name for b in spec.regimens.biologics},
            "population": set(populations.by_name),
            "exposure": set(spec.regimens.exposure_names),
        }
        for part, mixtures in (
            ("backbone", self.backbones),
            ("biologic", self.biologics),
            ("population", self.selections),
        ):
            for word, shares in mixtures.items():
                stray = sorted(set(shares) - known[part])
                found += [f"{word}: unknown {part} {name}" for name in stray]
                if abs(sum(shares.values()) - 1) > 1e-9:
                    found.append(f"{word}: the shares do not add to 1")
        found += [f"unknown exposure {e}" for e in (*self.partners, *self.antibodies) if e not in known["exposure"]]
        return [f"meta_regression.yaml: {text}" for text in found]

    def kind(self, column: str, definition: str) -> RateKind:
        """What a column counts under a definition in words."""
        kinds = [k for k in self.kinds if k.column == column]
        return next((k for k in kinds if k.fits(definition.lower())), kinds[0])

    def backbone_shares(self, spec: Specification, written: str) -> Mapping[str, float]:
        """Backbones of the specification that a cell means, in shares.

        Raises
        ------
        ValueError
            When the words are not understood.
        """
        return _shares(written, self.backbones, lambda word: spec.regimens.recognise(word, spec.regimens.backbones))

    def biologic_shares(self, spec: Specification, written: str) -> Mapping[str, float]:
        """Biologics of the specification that a cell means, in shares; as `backbone_shares`."""
        return _shares(written, self.biologics, lambda word: spec.regimens.recognise(word, spec.regimens.biologics))


def _shares(
    written: str, declared: Mapping[str, dict[str, float]], recognise: Callable[[str], str]
) -> Mapping[str, float]:
    text = written.strip().lower()
    if text in declared:
        return declared[text]
    _, _, rest = text.partition(":")
    if not rest:
        return {recognise(text): 1.0}
    parts = re.split(r"_or_|_and_|/|,", rest)
    shares: dict[str, float] = {}
    for part in parts:
        for name, share in (declared.get(part) or {recognise(part): 1.0}).items():
            shares[name] = shares.get(name, 0.0) + share / len(parts)
    return shares


@cache
def load_vocabulary() -> Vocabulary:
    """Read the declared structure."""
    return Vocabulary.model_validate(yaml.safe_load((data_folder() / "meta_regression.yaml").read_text("utf-8")))
