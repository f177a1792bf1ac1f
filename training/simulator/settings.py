"""All numbers of the simulator, loaded from data and checked against the specification."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import ValidationError

from features import Specification, SpecificationError
from features import encoding as encodings
from features.encoding import Encoding, Interaction, PatientFactor
from features.field import Frozen
from training.simulator import record
from training.simulator.course import Course
from training.simulator.effects import Effects, OutcomeEffects
from training.simulator.missingness import Missingness
from training.simulator.population import Population
from training.simulator.record import Record
from training.simulator.treatment import Treatment
from training.simulator.untested import Untested


class Terms(Frozen):
    """Terms beyond the specification's: thresholds, plateaus and interactions with clinical names."""

    patient_factors: tuple[PatientFactor, ...]
    interactions: tuple[Interaction, ...]


class Settings(Frozen):
    """See ``data/simulator.yaml``, section by section."""

    population: Population
    untested: tuple[Untested, ...]
    terms: Terms
    treatment: Treatment
    effects: dict[str, OutcomeEffects]
    course: Course
    records: tuple[Record, ...]
    missingness: Missingness

    @property
    def all_effects(self) -> Effects:
        """Effects on every outcome."""
        return Effects(outcomes=self.effects)

    def encoding(self, spec: Specification) -> Encoding:
        """The specification's terms with the simulator's own.

        Raises
        ------
        ValueError
            When a name is declared by both.
        """
        base = spec.encoding
        return Encoding(
            patient_factors=(*base.patient_factors, *self.terms.patient_factors),
            regimen_factors=base.regimen_factors,
            interactions=(*base.interactions, *self.terms.interactions),
        )

    def complaints(self, spec: Specification) -> list[str]:
        """Every entry that does not fit the specification."""
        try:
            encoding = self.encoding(spec)
        except ValidationError as error:
            return [f"terms: {e['msg']}" for e in error.errors()]
        factors = frozenset(f.name for f in encoding.patient_factors)
        found = [f"terms: {complaint}" for complaint in encodings.check(encoding, spec)]
        found += self.population.complaints(spec, factors)
        found += [complaint for part in self.untested for complaint in part.complaints(spec, factors)]
        found += self.treatment.complaints(spec, factors)
        found += self.all_effects.complaints(spec, encoding)
        found += self.course.complaints(spec)
        found += record.complaints(self.records, spec, factors)
        found += self.missingness.complaints(spec)
        return found


def read_settings() -> Any:
    """The numbers as plain data, unchecked."""
    return yaml.safe_load((files("training.simulator") / "data" / "simulator.yaml").read_text("utf-8"))


def checked_settings(data: Any, spec: Specification) -> Settings:
    """Check settings given as plain data.

    Raises
    ------
    SpecificationError
        Naming every entry at fault.
    """
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        lines = [f"simulator: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise SpecificationError("\n".join(lines)) from None
    complaints = settings.complaints(spec)
    if complaints:
        raise SpecificationError("\n".join(f"simulator: {c}" for c in complaints))
    return settings


@lru_cache(maxsize=4)
def load_settings(spec: Specification) -> Settings:
    """Load the settings that ship with the project; see `checked_settings`."""
    return checked_settings(read_settings(), spec)
