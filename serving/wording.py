"""The words in which a request is refused: what was wrong, what is allowed, what to do; never the value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from features import Field, Kind, Role, Specification, Time, UnknownRegimen

#: Kinds of error that the request models raise themselves, beside pydantic's; they are the codes too.
TOO_MANY_WEEKS = "too_many_weeks"
DUPLICATE_REGIMEN = "duplicate_regimen"
TOO_MANY_ANSWERS = "too_many_answers"

#: Characters of an unknown name that are given back: it is the client's own text.
LONGEST_NAME = 80

#: Characters of a reference or an idempotency key, and of a text; and texts in one list.
LONGEST_KEY = 128
LONGEST_TEXT = 200
MOST_TEXTS = 50

#: Regimens of a comparison: the first minus the second.
PAIR = 2

Location = tuple[int | str, ...]
Error = Mapping[str, Any]
Told = tuple[str, str, str]


def word(spec: Specification, loc: Location, error: Error) -> Told:
    """Word one of pydantic's errors.

    Parameters
    ----------
    loc
        Where it is, as pydantic says it.
    error
        One entry of `ValidationError.errors` with its input, which decides what limit was passed and whether a
        slip of units is likely.

    Returns
    -------
    tuple of str
        Dotted path, code and message.
    """
    path = ".".join(str(part)[:LONGEST_NAME] for part in loc) or "body"
    match loc:
        case () if error["type"] == TOO_MANY_ANSWERS:
            return "patients", *_about_body(spec, path, loc, error)
        case ("patient", str(name), *within):
            return _about_value(spec, f"patient.{name[:LONGEST_NAME]}", name, within, error)
        case ("patients", int(row), str(name), *within):
            return _about_value(spec, f"patients.{row}.{name[:LONGEST_NAME]}", name, within, error)
        case ("regimens", int(_)):
            return _about_regimen(spec, path, error)
        case ("regimen",) | ("estimate", "regimen") if error["type"] != "missing":
            return _about_regimen(spec, path, error)
        case ("regimen", str(part), *_) | ("estimate", "regimen", str(part), *_):
            return path, *_about_part(spec, part, error)
        case ("probability",) | ("estimate", "probability") if error["type"] != "missing":
            return path, *_about_probability(path, error)
        case ("estimate", str(_)) if error["type"] in ("missing", "extra_forbidden"):
            return path, *_about_estimate(path, error)
        case ("regimens", int(_), str(part), *_):
            return path, *_about_part(spec, part, error)
        case ("values", str(name), *within):
            # A value may be of several types: what none of them takes is one error, and not one for each.
            return f"values.{name[:LONGEST_NAME]}", *_about_report(spec, name, within)
        case _:
            return path, *_about_body(spec, path, loc, error)


def sentence(error: Exception) -> str:
    """Return an error's text as a sentence, its abbreviations untouched."""
    told = str(error)
    return f"{told[:1].upper()}{told[1:]}."


def cycles_field(spec: Specification) -> Field:
    """Return the field of the plan that counts cycles."""
    return next(f for f in spec.field_with(Role.PLAN) if f.kind is Kind.INTEGER)


def _about_value(spec: Specification, path: str, name: str, within: list[Any], error: Error) -> Told:
    field = spec.fields.get(name)
    if error["type"] == "extra_forbidden" or field is None:
        return path, *_unexpected(spec, name)
    if error["type"] == "missing":
        value = None
    else:
        # Of a list only the entry at fault is known here; alone in a list it fails for the same reason.
        value = [error["input"]] if within else error["input"]
    problem = field.problem(value)
    if problem is None:
        # An empty text or NaN, which mean "not recorded" in a registry's file but nothing in JSON.
        told = f"{field.label} is neither a value nor null; leave it out if it is not known"
        return path, "malformed", f"{told}, else allowed is {field.allowed()}."
    return path, problem.code, problem.message


def _unexpected(spec: Specification, name: str) -> tuple[str, str]:
    """Say why a patient has no such field."""
    plain = name.lower()
    if plain in spec.outcomes.names:
        return _late(spec.outcomes[plain].label, spec.outcomes[plain].known_at)
    if plain in spec.derived:
        inputs = ", ".join(spec.derived[plain].inputs)
        return "derived_field", f"{spec.derived[plain].label} is computed here; give {inputs} instead."
    field = next((f for f in spec.fields.values() if plain == f.name or plain in f.aliases), None)
    if field is None:
        # Comparing is slow and a hostile body holds a thousand names: only names that share a word are compared.
        words = set(plain[:LONGEST_NAME].split("_"))
        related = [f.name for f in spec.asked if not words.isdisjoint(f.name.split("_"))]
        near = difflib.get_close_matches(plain[:LONGEST_NAME], related, n=1, cutoff=0.75)
        hint = f"Did you mean {near[0]}? " if near else ""
        return "unknown_field", f"No such field. {hint}GET /specification lists those that are accepted."
    if field.identifying:
        return "identifying_field", f"{field.label} must not be sent. {field.why}."
    if field.known_at is not Time.BASELINE:
        return _late(field.label, field.known_at)
    if Role.PLAN in field.roles:
        return "misplaced_field", f"{field.label} is given in regimens, not in the patient."
    if field.asked:
        return "unknown_field", f"No such field. Did you mean {field.name}?"
    return "unused_field", f"{field.label} is not used for a prediction; leave it out."


def _late(label: str, known_at: Time) -> tuple[str, str]:
    at = "with the outcome" if known_at is Time.OUTCOME else f"at {known_at.value}"
    told = f"{label} is known only {at}; this service predicts at {Time.BASELINE.value}. Leave it out."
    return "post_baseline_field", told


def _about_regimen(spec: Specification, path: str, error: Error) -> Told:
    cycles = cycles_field(spec).name
    if error["type"] == TOO_MANY_WEEKS:
        return f"{path}.{cycles}", TOO_MANY_WEEKS, error["msg"]
    return path, "wrong_type", f"A regimen is an object with backbone, biologic and {cycles}."


def _about_part(spec: Specification, part: str, error: Error) -> tuple[str, str]:
    catalogue, cycles = spec.regimens, cycles_field(spec)
    parts: dict[str, tuple[Any, ...]] = {"backbone": catalogue.backbones, "biologic": catalogue.biologics}
    if part == cycles.name:
        problem = cycles.problem(error["input"])
        if problem is None:
            return "malformed", f"{cycles.label} is neither a number nor null."
        return problem.code, problem.message
    if part not in parts:
        return "unknown_field", f"A regimen has only {', '.join(parts)} and {cycles.name}."
    allowed = ", ".join(p.name for p in parts[part])
    if error["type"] == "missing":
        return "missing_required", f"The {part} is required; allowed is one of {allowed}."
    if not isinstance(error["input"], str):
        return "wrong_type", f"The {part} is not a code; allowed is one of {allowed}."
    try:
        hint = f"Write {catalogue.recognise(error['input'], parts[part])}."
    except UnknownRegimen as unknown:
        hint = sentence(unknown)
    return "unknown_regimen", f"Unknown {part}; allowed is one of {allowed}. {hint}"


def _about_probability(path: str, error: Error) -> tuple[str, str]:
    codes = {"greater_than_equal": "below_hard_limit", "less_than_equal": "above_hard_limit"}
    return codes.get(error["type"], "wrong_type"), f"The {path} must be a number from 0 to 1."


def _about_estimate(path: str, error: Error) -> tuple[str, str]:
    if error["type"] == "missing":
        return "missing_required", f"The {path} is required: an estimate is one probability of one outcome."
    return "unknown_field", "An estimate has only regimen, outcome and probability."


def _about_report(spec: Specification, name: str, within: list[Any]) -> tuple[str, str]:
    """Say of what became of a patient what one of the values may be."""
    if within == ["[key]"]:
        return "unknown_field", f"A name has 1 to {LONGEST_NAME} characters. GET /specification lists the fields."
    field = spec.fields.get(name)
    allowed = (
        field.allowed()
        if field is not None
        else f"true or false, a number, a text of at most {LONGEST_TEXT} characters, or a list of at most "
        f"{MOST_TEXTS} such texts"
    )
    return "wrong_type", f"The {name[:LONGEST_NAME]} must be {allowed}; leave it out, or give null, if it is not known."


def _about_word(path: str, kind: str) -> tuple[str, str] | None:
    """Say what a text may be that names something: a patient's pseudonym, a key, a prediction."""
    if kind.startswith("uuid"):
        return (
            "malformed",
            f"The {path} must be the id that an answer gave, such as 3f2c0000-0000-4000-8000-000000000000.",
        )
    if kind.startswith("string"):
        told = f"a text of 1 to {LONGEST_KEY} letters, digits and _.:@- without spaces, and no name of a person"
        return "wrong_type" if kind == "string_type" else "malformed", f"The {path} must be {told}."
    return None


def _about_body(spec: Specification, path: str, loc: Location, error: Error) -> tuple[str, str]:
    kind, limits = error["type"], error.get("ctx", {})
    if kind == "json_invalid":
        return "invalid_json", f"The body is not valid JSON: {limits.get('error', 'unreadable')}."
    if kind in (DUPLICATE_REGIMEN, TOO_MANY_ANSWERS):
        return kind, error["msg"]
    if kind == "extra_forbidden":
        if str(loc[-1]) in spec.fields:
            return "misplaced_field", "This belongs inside patient, not beside it."
        return "unknown_field", "No such part of this request; GET /docs shows those that it has."
    if loc == ("regimens",) and (kind == "missing" or limits.get("min_length", limits.get("max_length")) == PAIR):
        code = {"missing": "missing_required", "too_short": "too_few"}.get(kind, "too_many")
        return code, "Give exactly two regimens: the answer is the first minus the second."
    if named := _about_word(path, kind):
        return named
    if kind == "missing":
        required = ", ".join(f.name for f in spec.asked if f.required)
        return "missing_required", f"The {path} is required; of a patient only {required} must be given."
    if kind == "too_short":
        if limits.get("field_type") == "Dictionary":
            return "too_few", f"The {path} is empty; give at least one value by the name of its field."
        alone = " Leave it out for all regimens." if loc == ("regimens",) else ""
        return "too_few", f"The list is empty; give at least one entry.{alone}"
    if kind == "too_long":
        if limits.get("field_type") == "Dictionary":
            return "too_many", f"The {path} has more entries than there are fields: {limits['max_length']}."
        return "too_many", f"The list has too many entries; at most {limits['max_length']} are allowed."
    if kind == "literal_error":
        return "unknown_code", f"The {path} must be {limits.get('expected')}."
    return "wrong_type", f"The {path} must be {'a list' if kind == 'list_type' else 'an object'}."
