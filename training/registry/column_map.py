"""A hospital's own names, codes and units, written down once as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field as Attribute
from pydantic import ValidationError

from features import Kind, Specification
from features.field import Frozen
from training.registry.layout import Layout


class ColumnMapError(ValueError):
    """A column map that cannot be used; the message names every entry at fault."""

    def __init__(self, complaints: list[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__("\n".join(complaints))


class Conversion(Frozen):
    """A factor that turns their unit into ours."""

    multiply_by: float = Attribute(gt=0, allow_inf_nan=False)


class ColumnMap(Frozen):
    """How a registry differs from the specification.

    Attributes
    ----------
    columns
        Their column -> our field, outcome or combined regimen column.
    codes
        Our field -> their cell -> our code. An empty key stands for an empty cell.
    units
        Our field -> a factor, or the name of a unit that the field declares as a common slip ("cm").
    dates
        Format of dates as for ``datetime.strptime``; ISO 8601 when not given.
    missing
        Cells that mean "not recorded" ("-99", "UNK"), besides the usual ones.
    decimal
        Decimal sign.
    defaults
        Our field -> value for every row that has none (one site: ``{site_id: A}``).
    separator, encoding
        Of a CSV file; found from its first line, and UTF-8, when not given.
    """

    columns: dict[str, str] = {}
    codes: dict[str, dict[str, str]] = {}
    units: dict[str, Conversion | str] = {}
    dates: str | None = None
    missing: tuple[str, ...] = ()
    decimal: str = Attribute(default=".", pattern=r"^[.,]$")
    defaults: dict[str, str] = {}
    separator: str | None = Attribute(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8-sig"

    def complaints(self, spec: Specification, layout: Layout) -> list[str]:
        """Every entry that the specification contradicts."""
        targets = {*spec.fields, *spec.outcomes.names, layout.regimen_column}
        found = [
            f"columns: {theirs}: {ours} is no field, outcome or {layout.regimen_column}"
            for theirs, ours in self.columns.items()
            if ours not in targets
        ]
        twice = sorted({o for o in self.columns.values() if list(self.columns.values()).count(o) > 1})
        found += [f"columns: {ours} is given by more than one column" for ours in twice]
        for name, codes in self.codes.items():
            field = spec.fields.get(name)
            if field is None and name not in spec.outcomes.names:
                found.append(f"codes: unknown field {name}")
            elif field is not None and field.kind in (Kind.CATEGORY, Kind.CODES):
                stray = sorted({c for c in codes.values() if c not in field.codes})
                if stray:
                    found.append(f"codes: {name}: {', '.join(stray)} not allowed; allowed is {field.allowed()}")
        for name, unit in self.units.items():
            field = spec.fields.get(name)
            if field is None or not field.numeric:
                found.append(f"units: {name} is not a field with a unit")
            elif isinstance(unit, str) and unit not in {s.unit for s in field.unit_slips}:
                known = ", ".join(s.unit for s in field.unit_slips) or "it has none"
                found.append(f"units: {name}: {unit} is not a declared unit ({known}); write {{multiply_by: factor}}")
        found += [f"defaults: unknown field {name}" for name in self.defaults if name not in spec.fields]
        return found

    def factor(self, name: str, spec: Specification) -> float:
        """Factor by which their numbers are multiplied to get the field's own unit."""
        unit = self.units.get(name)
        if unit is None:
            return 1.0
        if isinstance(unit, Conversion):
            return unit.multiply_by
        return next(s.multiply_by for s in spec.fields[name].unit_slips if s.unit == unit)


def load_column_map(path: Path | str, spec: Specification, layout: Layout) -> ColumnMap:
    """Read and check a column map.

    Raises
    ------
    ColumnMapError
        Naming every entry at fault, when the file cannot be read or does not fit.
    """
    try:
        # The base loader keeps every scalar as written: 007 and yes are codes here, not numbers and truths.
        data: Any = yaml.load(Path(path).read_text("utf-8"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ColumnMapError(
            [f"{Path(path).name}: cannot be read ({type(error).__name__}); give a YAML file in UTF-8"]
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark is not None else ""
        raise ColumnMapError([f"{Path(path).name}: not valid YAML{where}"]) from None
    return checked_column_map(data or {}, spec, layout)


def checked_column_map(data: Any, spec: Specification, layout: Layout) -> ColumnMap:
    """Check a column map given as plain data.

    Raises
    ------
    ColumnMapError
        Naming every entry at fault.
    """
    try:
        mapping = ColumnMap.model_validate(data)
    except ValidationError as error:
        allowed = ", ".join(ColumnMap.model_fields)
        raise ColumnMapError(
            [f"column map: {'.'.join(map(str, e['loc']))}: {e['msg']} (parts are {allowed})" for e in error.errors()]
        ) from None
    complaints = mapping.complaints(spec, layout)
    if complaints:
        raise ColumnMapError(complaints)
    return mapping
