"""The one specification: loaded from data, checked whole, stamped with a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from features import encoding as encodings
from features.availability import Time, refuse_late
from features.consistency import ConsistencyRule
from features.derived import Column, Derived
from features.encoding import Encoding
from features.field import Field, Role
from features.flag import FlagCatalogue
from features.memory import Memory
from features.outcome import OutcomeTree
from features.regimen import RegimenCatalogue
from features.rule import Condition

_REMEMBERED = 10_000  # derived values of single patients that are kept
PARTS = ("fields", "derived", "outcomes", "regimens", "encoding", "flags", "consistency")
# Wording must not force a hospital to retrain: it is left out of the digest that ties a model to the specification.
WORDING = frozenset(
    {
        "label",
        "ask",
        "why",
        "text",
        "definition",
        "if_given",
        "group",
        "aliases",
        "synonyms",
        "terminology",
        "headline",
    }
)
M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", Field, Derived)
REGIMEN_FACTS = ("regimen_backbone", "regimen_biologic", "planned_weeks", "planned_cycles")


class SpecificationError(ValueError):
    """The declared data do not fit together; the message names every entry at fault."""


class Specification:
    """Everything that is declared once.

    Attributes
    ----------
    fields, derived
        By name, in order of declaration.
    outcomes, regimens, encoding, flags, consistency
        See their modules.
    digest
        SHA-256 over fields, derived fields, outcomes, regimens and encoding without wording. It ties a model to
        the specification.
    flags_digest
        SHA-256 over flags and their wording, logged with each answer.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        missing = [p for p in PARTS if p not in parts]
        if missing:
            raise SpecificationError(f"missing parts: {', '.join(missing)}")
        complaints: list[str] = []
        self.fields = MappingProxyType(_by_name(_parse_list(Field, parts["fields"], "field", complaints), complaints))
        self.derived = MappingProxyType(
            _by_name(_parse_list(Derived, parts["derived"], "derived field", complaints), complaints)
        )
        consistency = _parse_list(ConsistencyRule, parts["consistency"], "consistency rule", complaints, key="code")
        self.consistency = tuple(consistency)
        outcomes = _parse(OutcomeTree, {"outcomes": parts["outcomes"]}, "outcomes", complaints)
        regimens = _parse(RegimenCatalogue, parts["regimens"], "regimens", complaints)
        encoding = _parse(Encoding, parts["encoding"], "encoding", complaints)
        flags = _parse(FlagCatalogue, parts["flags"], "flags", complaints)
        if complaints or outcomes is None or regimens is None or encoding is None or flags is None:
            raise SpecificationError("\n".join(complaints))
        self.outcomes, self.regimens, self.encoding, self.flags = outcomes, regimens, encoding, flags
        complaints = self._cross_check()
        if complaints:
            raise SpecificationError("\n".join(complaints))

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names of all coded columns of recorded fields."""
        return frozenset(c for f in self.fields.values() for c in f.columns)

    @cached_property
    def derived_memory(self) -> Memory[tuple[Any, ...], Column]:
        """Derived values of single patients, by field and inputs; see `Patients`."""
        return Memory(_REMEMBERED)

    @cached_property
    def unknown_positions(self) -> dict[str, frozenset[float]]:
        """By coded column of a single choice, the codes' positions that mean "not known"."""
        return {
            f.name: frozenset(float(list(f.codes).index(code)) for code in f.unknown_codes)
            for f in self.fields.values()
            if f.unknown_codes and f.columns == (f.name,)
        }

    @cached_property
    def asked(self) -> tuple[Field, ...]:
        """Fields a clinician is asked for before cycle 1, in order."""
        return tuple(f for f in self.fields.values() if f.asked)

    @cached_property
    def registry_fields(self) -> tuple[Field, ...]:
        """Fields that a registry may carry, in order."""
        return tuple(f for f in self.fields.values() if not f.identifying)

    @cached_property
    def unknown_codes(self) -> Mapping[str, tuple[str, ...]]:
        """Codes meaning "not known", by field."""
        return {f.name: f.unknown_codes for f in self.fields.values() if f.unknown_codes}

    @cached_property
    def facts(self) -> frozenset[str]:
        """Every name a condition may use."""
        doses = {f"planned_dose_{d}" for b in self.regimens.backbones for d in b.drugs}
        return frozenset({*self.fields, *self.derived, *self.regimens.exposure_names, *REGIMEN_FACTS, *doses})

    def codes(self, name: str) -> list[str]:
        """Codes of a coded field or derived field, in order; empty for numbers."""
        return list((self.fields.get(name) or self.derived[name]).codes)

    def field_with(self, role: Role, time: Time | None = None) -> tuple[Field, ...]:
        """Fields with a role, optionally known at exactly one time."""
        return tuple(f for f in self.fields.values() if role in f.roles and time in (None, f.known_at))

    def predictors(self, predict_at: Time) -> tuple[Field, ...]:
        """Recorded fields that the encoding reads, checked to be known at the time of prediction.

        Raises
        ------
        LateInformation
            When the encoding reads anything known only later.
        """
        read: dict[str, Field] = {}

        def visit(name: str) -> None:
            if name in self.fields:
                read[name] = self.fields[name]
            else:
                for source in self.derived[name].inputs:
                    visit(source)

        for factor in self.encoding.patient_factors:
            if factor.of is not None:
                visit(factor.of)
        refuse_late(read.values(), predict_at)
        return tuple(read.values())

    def fields_behind(self, factor: str) -> frozenset[str]:
        """Recorded fields from which a patient factor is made, through derived fields and products."""
        by_name = {f.name: f for f in self.encoding.patient_factors}
        found: set[str] = set()
        factors, named = [factor], []
        while factors:
            declared = by_name[factors.pop()]
            factors += declared.product or ()
            named += [declared.of] if declared.of is not None else []
        while named:
            name = named.pop()
            if name in self.fields:
                found.add(name)
            else:
                named += self.derived[name].inputs
        return frozenset(found)

    @cached_property
    def canonical(self) -> dict[str, Any]:
        """What the digest covers, as plain data without wording."""
        return {
            "fields": [_bare(f) for f in self.fields.values()],
            "derived": [_bare(d) for d in self.derived.values()],
            "outcomes": _bare(self.outcomes),
            "regimens": _bare(self.regimens),
            "encoding": _bare(self.encoding),
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `canonical`, hexadecimal."""
        return _digest(self.canonical)

    @cached_property
    def flags_digest(self) -> str:
        """SHA-256 of the flag catalogue with its wording, hexadecimal."""
        return _digest(self.flags.model_dump(mode="json", by_alias=True))

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Name the entries in which another canonical form differs from this one."""
        changed: list[str] = []
        for part, mine in self.canonical.items():
            changed += [f"{part}: {name}" for name in _changed(mine, other.get(part))]
        return changed

    def _cross_check(self) -> list[str]:
        complaints = encodings.check(self.encoding, self)
        for derived in self.derived.values():
            for source in derived.inputs:
                known = self.fields.get(source) or self.derived.get(source)
                if known is None:
                    complaints.append(f"derived field {derived.name}: unknown input {source}")
                elif not known.known_at.by(derived.known_at):
                    complaints.append(f"derived field {derived.name}: {source} is known only at {known.known_at}")
        conditions: list[tuple[str, Condition]] = [
            *((f"flag {r.key or r.code}", r.when) for r in self.flags.rules),
            *((f"consistency rule {r.code}", r.when) for r in self.consistency),
            *((f"outcome {o.name}", o.recorded) for o in self.outcomes.outcomes if o.recorded is not None),
        ]
        for owner, condition in conditions:
            stray = sorted(condition.facts() - self.facts)
            if stray:
                complaints.append(f"{owner}: unknown facts {', '.join(stray)}")
                continue
            for fact, code in condition.code_uses():
                codes = self.codes(fact) if fact in self.fields or fact in self.derived else []
                if codes and code not in codes:
                    complaints.append(f"{owner}: {code} is not a code of {fact}")
        for rule in self.flags.rules:
            for fact in rule.when.facts():
                named = self.fields.get(fact) or self.derived.get(fact)
                if named is not None and not named.known_at.by(rule.predict_at):
                    complaints.append(f"flag {rule.code}: {fact} is known only at {named.known_at}")
        terms = self.encoding.terms
        for outcome in self.outcomes.outcomes:
            stray = sorted(set(outcome.settled) - set(terms))
            if stray:
                complaints.append(f"outcome {outcome.name}: settled direction of unknown term {', '.join(stray)}")
        if not complaints:
            for time in {o.predict_at for o in self.outcomes.outcomes}:
                self.predictors(time)
        return complaints


def _parse(model: type[M], data: Any, owner: str, complaints: list[str]) -> M | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        complaints += [f"{owner}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return None


def _parse_list(model: type[M], data: list[Any], owner: str, complaints: list[str], key: str = "name") -> list[M]:
    parsed = [_parse(model, entry, f"{owner} {entry.get(key, '?')}", complaints) for entry in data]
    return [p for p in parsed if p is not None]


def _by_name(things: list[N], complaints: list[str]) -> dict[str, N]:
    by_name: dict[str, N] = {}
    for thing in things:
        if thing.name in by_name:
            complaints.append(f"{thing.name} is declared twice")
        by_name[thing.name] = thing
    return by_name


def _bare(model: BaseModel) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in WORDING}
        return [strip(v) for v in value] if isinstance(value, list) else value

    bare = strip(model.model_dump(mode="json", by_alias=True))
    if isinstance(bare, dict) and isinstance(bare.get("codes"), dict):
        bare["codes"] = list(bare["codes"])  # the labels of codes are wording; their order is not
    return bare


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _changed(mine: Any, theirs: Any) -> list[str]:
    if isinstance(mine, dict) and isinstance(theirs, dict) and len(mine) == 1 and mine.keys() == theirs.keys():
        (key,) = mine
        return _changed(mine[key], theirs[key])
    if isinstance(mine, list) and isinstance(theirs, list):
        a, b = ({str(e.get("name", i)): e for i, e in enumerate(part)} for part in (mine, theirs))
        return [name for name in dict.fromkeys([*a, *b]) if a.get(name) != b.get(name)]
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return [key for key in mine if mine[key] != theirs.get(key)]
    return [] if mine == theirs else ["whole"]


def read_parts() -> dict[str, Any]:
    """Read the declared data as plain objects, without checking them."""
    folder = files("features") / "data"
    return {part: yaml.safe_load((folder / f"{part}.yaml").read_text("utf-8")) for part in PARTS}


@cache
def load_specification() -> Specification:
    """Load and check the specification that ships with the project.

    Raises
    ------
    SpecificationError
        Naming every entry at fault.
    """
    return Specification(read_parts())


def parse_condition(data: Any) -> Condition:
    """Parse one condition written as plain data."""
    return TypeAdapter(Condition).validate_python(data)
