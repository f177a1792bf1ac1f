"""The keystone: everything that judges a value judges it as the field itself does.

For every field an inside value, both limits, the nearest values outside them, wrong types and a missing value go
through the field's own verdict, Great Expectations, the request model, the web form and the encoder. A field that is
not asked of a clinician goes through the first two.
"""

import copy
import datetime as dt
import json
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from features import Field, InvalidValues, Kind, Patients, Specification, load_specification
from features.dictionary import dictionary
from features.specification import read_parts
from serving.form import accepts
from serving.request import request_models
from validation.checkpoint import validate_registry

SPEC = load_specification()


@dataclass(frozen=True)
class Probe:
    field: Field
    what: str
    value: Any

    def __str__(self):
        return f"{self.field.name}-{self.what}"


def inside(field: Field) -> Any:
    """A value that is right beyond doubt."""
    if field.numeric:
        middle = sum(field.usual) / 2
        return int(middle) if field.kind is Kind.INTEGER else middle
    return {
        Kind.BOOLEAN: True,
        Kind.CATEGORY: next(iter(field.codes), None),
        Kind.CODES: list(field.codes)[:1],
        Kind.DATE: "2024-02-29",
        Kind.TEXT: "P-1",
    }[field.kind]


def probes(field: Field) -> list[Probe]:
    """Values on both sides of every boundary of a field, as JSON carries them."""
    found: dict[str, Any] = {"missing": None, "inside": inside(field)}
    if field.numeric:
        low, high = field.hard
        if field.kind is Kind.INTEGER:
            low, high, below, above = int(low), int(high), int(low) - 1, int(high) + 1
            found |= {"fraction": low + 0.5, "whole_as_float": float(low)}
            for special in field.special:
                found |= {f"special_{special}": special, f"after_special_{special}": special + 1}
        else:
            below, above = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
        found |= {"at_low": low, "at_high": high, "below": below, "above": above}
        found |= {"far_above": high * 1000 + 1000, "text": str(inside(field)), "truth": True, "list": [inside(field)]}
    elif field.kind is Kind.BOOLEAN:
        found |= {"false": False, "text": "true", "number": 1}
    elif field.kind is Kind.CATEGORY:
        found |= {f"code_{code}": code for code in field.codes}
        found |= {"unknown": "zz", "label": "A Label", "number": 1, "list": [inside(field)]}
    elif field.kind is Kind.CODES:
        alone = [code for code in field.codes if code != field.exclusive]
        found |= {f"code_{code}": [code] for code in field.codes}
        found |= {"all": alone, "none_chosen": [], "twice": [alone[0]] * 2, "unknown": [alone[0], "zz"]}
        found |= {"text": alone[0], "numbers": [1], "bar": ["|".join(alone[:2])]}
        if field.exclusive:
            found |= {"exclusive_first": [field.exclusive, alone[0]], "exclusive_last": [alone[0], field.exclusive]}
    elif field.kind is Kind.DATE:
        found |= {"day_out_of_calendar": "2023-02-29", "compact": "20240229", "week": "2024-W09-4", "short": "2024-2-9"}
        found |= {"other_order": "29.02.2024", "with_time": "2024-02-29T10:00", "number": 20240229, "text": "yesterday"}
    else:
        found |= {"longest": "x" * 64, "too_long": "x" * 65, "padded": " P-1", "line_end": "P-1\n", "number": 1}
        found |= {"inner_space": "P 1", "one": "x"}
    return [Probe(field, what, value) for what, value in found.items()]


REGISTRY = [probe for field in SPEC.registry_fields for probe in probes(field)]
ASKED = [probe for probe in REGISTRY if probe.field.asked]


def base(spec: Specification) -> dict[str, Any]:
    """A patient of whom every asked field is known and right."""
    return {field.name: inside(field) for field in spec.asked}


def by_expectations(spec: Specification, probed: list[Probe]) -> list[set[str]]:
    """Codes of the errors that Great Expectations finds for each probe, all in one run."""
    named = {probe.field.name for probe in probed}
    kept = [f for f in spec.registry_fields if f.name in named or f.required]
    right = {f.name: inside(f) if f.asked or f.required else None for f in kept}
    records = []
    for i, probe in enumerate(probed):
        keys = {f.name: f"{f.name}-{i}" for f in kept if f.kind is Kind.TEXT}
        records.append({**right, **keys, probe.field.name: probe.value})
    frame = pd.DataFrame({name: pd.Series([r[name] for r in records], dtype=object) for name in right})
    report = validate_registry(frame, spec)
    return [
        {p.code for p in report.errors if p.field == probe.field.name and i in p.rows} for i, probe in enumerate(probed)
    ]


def by_request(spec: Specification, probe: Probe) -> str | None:
    """Code with which the request model refuses the probe, or None."""
    models = request_models(spec)
    body = json.dumps({"patient": {**base(spec), probe.field.name: probe.value}})
    try:
        models.predict.model_validate_json(body)
    except ValidationError as error:
        told = [models.message_for(e["loc"], e) for e in error.errors(include_url=False)]
        assert {path for path, *_ in told} == {f"patient.{probe.field.name}"}
        return told[0][1]
    return None


def by_encoder(spec: Specification, probe: Probe) -> str | None:
    """Code with which the encoder refuses the probe, or None."""
    try:
        Patients.from_records(spec, [{**base(spec), probe.field.name: probe.value}], check=True)
    except InvalidValues as refused:
        (problem,) = refused.problems
        assert problem.field == probe.field.name
        return problem.code
    return None


@pytest.fixture(scope="module")
def expected() -> dict[str, set[str]]:
    return {str(p): codes for p, codes in zip(REGISTRY, by_expectations(SPEC, REGISTRY), strict=True)}


@pytest.mark.parametrize("probe", REGISTRY, ids=str)
def test_great_expectations_judge_a_value_as_its_field_does(probe, expected):
    problem = probe.field.problem(probe.value)
    codes = expected[str(probe)]
    assert bool(codes) == (problem is not None)
    if problem is not None:
        # A field of the plan has a word of its own for a code that is not known: an unknown regimen.
        assert codes & {problem.code, problem.code.replace("unknown_code", "unknown_regimen")}


@pytest.mark.parametrize("probe", ASKED, ids=str)
def test_the_request_the_form_and_the_encoder_judge_a_value_as_its_field_does(probe):
    problem = probe.field.problem(probe.value)
    code = problem.code if problem is not None else None
    assert by_request(SPEC, probe) == code
    assert accepts(SPEC, probe.field, probe.value) is (problem is None)
    assert by_encoder(SPEC, probe) == code


def test_every_field_meets_values_on_both_sides_of_its_verdict():
    for field in SPEC.registry_fields:
        verdicts = {probe.field.problem(probe.value) is None for probe in probes(field)}
        assert verdicts == {True, False}, field.name


def test_a_date_may_be_a_day_as_well_as_a_text():
    field = next(f for f in SPEC.registry_fields if f.kind is Kind.DATE)
    assert by_expectations(SPEC, [Probe(field, "day", dt.date(2024, 2, 29))]) == [set()]


def test_one_limit_changed_in_the_specification_changes_everything_that_judges_by_it():
    parts = copy.deepcopy(read_parts())
    entry = next(f for f in parts["fields"] if f["name"] == "albumin_g_l")
    low, high = entry["hard"]
    entry["hard"] = [low, high - 5]
    changed = Specification(parts)
    for spec, code in ((SPEC, None), (changed, "above_hard_limit")):
        field = spec.fields["albumin_g_l"]
        probe = Probe(field, "between", high - 2)
        (found,) = by_expectations(spec, [probe])
        problem = field.problem(probe.value)
        assert (problem.code if problem else None) == code
        assert found == ({code} if code else set())
        assert by_request(spec, probe) == code
        assert accepts(spec, field, probe.value) is (code is None)
        assert by_encoder(spec, probe) == code
        told = [line for line in dictionary(spec).splitlines() if line.startswith("| `albumin_g_l`")]
        assert any(f"{low} to {high}" in line for line in told) == (code is None)
        assert any(f"{low} to {high - 5}" in line for line in told) == (code is not None)
    assert changed.digest != SPEC.digest
