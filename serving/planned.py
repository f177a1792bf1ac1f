"""The regimens that may be asked for: one, several, or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, BaseModel, create_model
from pydantic_core import PydanticCustomError

from features import DEFAULT_WEEKS, MAX_WEEKS, Specification, UnknownRegimen
from serving.value import Body, attribute, one_of
from serving.wording import DUPLICATE_REGIMEN, PAIR, TOO_MANY_WEEKS, cycles_field, sentence

#: Regimens in one request: three durations of each of the 20.
MOST_REGIMENS = 60


def regimens(spec: Specification) -> Any:
    """Several regimens, or none for all, as `create_model` takes them."""
    chosen: Any = list[regimen(spec)]  # type: ignore[misc]
    limited = pydantic.Field(min_length=1, max_length=MOST_REGIMENS)
    chosen = Annotated[chosen, limited, AfterValidator(_refuse_repeats(spec))]
    told = (
        "In the order in which they are answered. Left out: every backbone with every biologic, planned for "
        f"{DEFAULT_WEEKS} weeks."
    )
    return chosen | None, pydantic.Field(default=None, title="Regimens", description=told)


def pair(spec: Specification) -> Any:
    """Two regimens, as `create_model` takes them."""
    chosen: Any = list[regimen(spec)]  # type: ignore[misc]
    chosen = Annotated[chosen, pydantic.Field(min_length=PAIR, max_length=PAIR), AfterValidator(_refuse_repeats(spec))]
    return chosen, pydantic.Field(title="Regimens", description="Two; the answer is the first minus the second.")


def regimen(spec: Specification) -> type[BaseModel]:
    """Make the model of one planned regimen."""
    catalogue, cycles = spec.regimens, cycles_field(spec)
    most = {b.name: MAX_WEEKS // b.cycle_weeks for b in catalogue.backbones}

    class Planned(Body):
        def model_post_init(self, _: Any) -> None:
            parts = self.__dict__
            planned = parts[cycles.name]
            if planned is None or planned <= most[parts["backbone"]]:
                return
            try:
                catalogue.regimen(parts["backbone"], parts["biologic"], planned)
            except UnknownRegimen as unknown:
                raise PydanticCustomError(TOO_MANY_WEEKS, "{told}", {"told": sentence(unknown)}) from None

    def part(title: str, parts: Any) -> Any:
        labels: Any = {"labels": {p.name: p.label for p in parts}}
        return one_of(p.name for p in parts), pydantic.Field(title=title, json_schema_extra=labels)

    default = f"Left out: the cycles that fit {DEFAULT_WEEKS} weeks. At most {MAX_WEEKS} weeks."
    definitions: dict[str, Any] = {
        "backbone": part("Backbone", catalogue.backbones),
        "biologic": part("Biologic", catalogue.biologics),
        cycles.name: attribute(cycles, more=default, optional=True),
    }
    return create_model("Regimen", __base__=Planned, __doc__="A planned regimen.", **definitions)


def _refuse_repeats(spec: Specification) -> Callable[[list[Any]], list[Any]]:
    cycles = cycles_field(spec).name
    usual = {b.name: DEFAULT_WEEKS // b.cycle_weeks for b in spec.regimens.backbones}

    def key(regimen: Any) -> tuple[str, str, int]:
        planned = getattr(regimen, cycles)
        backbone = regimen.backbone
        return backbone, regimen.biologic, usual[backbone] if planned is None else planned

    def judge(regimens: list[Any]) -> list[Any]:
        keys = [key(regimen) for regimen in regimens]
        if len(set(keys)) != len(keys):
            twice = ", ".join(str(i) for i, k in enumerate(keys) if k in keys[:i])
            told = f"Entries {twice} (from 0) repeat an earlier regimen; name each once, or change its cycles."
            raise PydanticCustomError(DUPLICATE_REGIMEN, "{told}", {"told": told})
        return regimens

    return judge
