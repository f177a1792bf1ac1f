"""Regimens: a backbone, a biologic and a planned duration, decomposed into the drugs a patient is exposed to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import Field as Attribute
from pydantic import model_validator

from features.field import Frozen

MAX_WEEKS = 48  # DOMAIN 1.3: planned weeks at most 48
DEFAULT_WEEKS = 12  # DOMAIN 5.5: "start regimen, planned up to 12 weeks, reassess"


class Drug(Frozen):
    """One drug, with the classes it counts towards and its codes where they are sure."""

    name: str
    label: str
    classes: tuple[str, ...] = ()
    atc: str | None = None


class Backbone(Frozen):
    """A chemotherapy backbone: its drugs with dose per cycle (mg/m2, for display and cumulative dose only)."""

    name: str
    label: str
    cycle_weeks: int = Attribute(ge=1, le=4)
    drugs: dict[str, float]
    synonyms: tuple[str, ...] = ()
    why: str


class Biologic(Frozen):
    """An antibody added to a backbone, or none."""

    name: str
    label: str
    drugs: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    why: str


class Regimen(Frozen):
    """A planned regimen.

    Attributes
    ----------
    exposures
        Every drug and drug class by name: 1.0 when given, 0.0 when not.
    planned_weeks
        ``planned_cycles`` times the backbone's cycle length.
    cumulative_dose
        Planned mg/m2 of each backbone drug.
    """

    backbone: str
    biologic: str
    planned_cycles: int
    planned_weeks: int
    label: str
    exposures: dict[str, float]
    cumulative_dose: dict[str, float]

    @property
    def key(self) -> tuple[str, str]:
        """Backbone and biologic, without the duration."""
        return (self.backbone, self.biologic)


class UnknownRegimen(ValueError):
    """A regimen that the catalogue does not hold, or a duration beyond its limit."""


class RegimenCatalogue(Frozen):
    """Backbones, biologics and drugs: every backbone goes with every biologic."""

    drugs: tuple[Drug, ...]
    backbones: tuple[Backbone, ...]
    biologics: tuple[Biologic, ...]
    refused: dict[str, str] = {}

    @model_validator(mode="after")
    def _drugs_declared(self) -> Self:
        known = {d.name for d in self.drugs}
        parts = [(b.name, set(b.drugs)) for b in self.backbones] + [(b.name, set(b.drugs)) for b in self.biologics]
        for name, drugs in parts:
            stray = drugs - known
            if stray:
                raise ValueError(f"regimen part {name}: undeclared drugs {', '.join(sorted(stray))}")
        return self

    @property
    def exposure_names(self) -> tuple[str, ...]:
        """Drugs and drug classes, in order of declaration."""
        names = [d.name for d in self.drugs] + [c for d in self.drugs for c in d.classes]
        return tuple(dict.fromkeys(names))

    def regimen(self, backbone: str, biologic: str, planned_cycles: int | None = None) -> Regimen:
        """Build one regimen.

        Parameters
        ----------
        planned_cycles
            Number of cycles; None plans the cycles that fit 12 weeks.

        Raises
        ------
        UnknownRegimen
            Naming what is allowed.
        """
        backbones = {b.name: b for b in self.backbones}
        biologics = {b.name: b for b in self.biologics}
        if backbone not in backbones:
            raise UnknownRegimen(f"unknown backbone; allowed is one of {', '.join(backbones)}")
        if biologic not in biologics:
            raise UnknownRegimen(f"unknown biologic; allowed is one of {', '.join(biologics)}")
        chosen, added = backbones[backbone], biologics[biologic]
        cycles = DEFAULT_WEEKS // chosen.cycle_weeks if planned_cycles is None else planned_cycles
        weeks = cycles * chosen.cycle_weeks
        if cycles < 1 or weeks > MAX_WEEKS:
            raise UnknownRegimen(
                f"planned cycles must give 1 to {MAX_WEEKS} weeks: for {chosen.label} "
                f"1 to {MAX_WEEKS // chosen.cycle_weeks} cycles of {chosen.cycle_weeks} weeks"
            )
        given = set(chosen.drugs) | set(added.drugs)
        classes = {d.name: d.classes for d in self.drugs}
        given |= {c for drug in tuple(given) for c in classes[drug]}
        label = chosen.label if not added.drugs else f"{chosen.label} + {added.label}"
        return Regimen(
            backbone=backbone,
            biologic=biologic,
            planned_cycles=cycles,
            planned_weeks=weeks,
            label=label,
            exposures={name: float(name in given) for name in self.exposure_names},
            cumulative_dose={drug: dose * cycles for drug, dose in chosen.drugs.items()},
        )

    def all(self) -> tuple[Regimen, ...]:
        """Every backbone with every biologic, at the default duration."""
        return tuple(self.regimen(b.name, a.name) for b in self.backbones for a in self.biologics)

    def recognise(self, written: str, parts: Iterable[Backbone | Biologic]) -> str:
        """Return the name meant by an import synonym.

        Raises
        ------
        UnknownRegimen
            With the reason when the drug is known but not covered (UFT, S-1).
        """
        wanted = _plain(written)
        for part in parts:
            if wanted in {_plain(s) for s in (part.name, part.label, *part.synonyms)}:
                return part.name
        reasons: Mapping[str, str] = {_plain(k): v for k, v in self.refused.items()}
        raise UnknownRegimen(reasons.get(wanted, "not a regimen in the catalogue"))


def _plain(text: str) -> str:
    return "".join(ch for ch in text.lower() if ch.isalnum())
