"""The form asks what the specification asks, and lets pass what a field lets stand."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from features import Field, Kind, Specification, Time, load_specification
from features.specification import read_parts
from serving.form import accepts, control, form_groups, pretty, render_control

SPEC = load_specification()
CONTROLS = [c for group in form_groups(SPEC) for c in group.controls]


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def values_to_try(field: Field) -> list[Any]:
    tried: list[Any] = [None, True, False, 0, 1, 2.5, -1, 54, 99, 1e9, "54", "no such code", [], ["no such code"]]
    if field.hard:
        low, high = field.hard
        tried += [low, high, low - 1, high + 1, low - 1e-6, high + 1e-6, (low + high) / 2, int((low + high) / 2)]
    tried += [float("nan"), float("inf")] if field.required else [float("inf")]
    codes = list(field.codes)
    return [*tried, *codes, codes, *([code] for code in codes), codes[:2], codes[:1] * 2] if codes else tried


def test_every_asked_field_has_one_control_and_no_other_field_has_one():
    assert [c.field for c in CONTROLS] == list(SPEC.asked)


def test_groups_come_in_clinical_order():
    assert [g.name for g in form_groups(SPEC)] == [
        "patient", "primary", "liver", "extrahepatic", "labs", "molecular", "plan",
    ]  # fmt: skip


@pytest.mark.parametrize("field", SPEC.asked, ids=lambda f: f.name)
def test_the_form_and_the_field_agree(field):
    disagreed = [v for v in values_to_try(field) if accepts(SPEC, field, v) != (field.problem(v) is None)]
    assert not disagreed


@pytest.mark.parametrize("field", [f for f in SPEC.fields.values() if not f.asked], ids=lambda f: f.name)
def test_a_field_that_is_not_asked_cannot_be_entered(field):
    assert accepts(SPEC, field, None)
    assert not accepts(SPEC, field, 1)
    assert not accepts(SPEC, field, "x")


@pytest.mark.parametrize("asked", CONTROLS, ids=lambda c: c.field.name)
def test_a_control_is_named_and_described(asked):
    elements = Elements(render_control(asked))
    ids = {a["id"] for _, a in elements.found if "id" in a}
    (owner,) = [a for _, a in elements.found if "aria-describedby" in a]
    assert set(owner["aria-describedby"].split()) <= ids
    label = elements.all("label")[0].get("for") if asked.shape in ("number", "select") else owner["id"]
    assert label == owner["id"] == f"f-{asked.field.name}"
    assert asked.field.label in render_control(asked).replace("&#39;", "'")


@pytest.mark.parametrize("asked", [c for c in CONTROLS if c.field.unit], ids=lambda c: c.field.name)
def test_a_unit_stands_in_the_name_of_its_control(asked):
    name = render_control(asked).split("</label>")[0].split("</legend>")[0]
    assert pretty(asked.field.unit) in name


@pytest.mark.parametrize("asked", [c for c in CONTROLS if not c.field.required], ids=lambda c: c.field.name)
def test_not_known_is_the_first_choice_and_chosen(asked):
    if asked.shape == "number":
        (typed,) = [a for a in Elements(render_control(asked)).all("input") if a["type"] == "number"]
        assert "value" not in typed
        return
    assert asked.options[0].value == ""
    elements = Elements(render_control(asked)).all("input", "option")
    assert [a["value"] for a in elements if "checked" in a] in ([""], [])
    assert elements[0]["value"] == ""


def test_no_two_choices_read_the_same():
    for asked in CONTROLS:
        labels = [o.label.lower() for o in asked.options]
        assert len(set(labels)) == len(labels), asked.field.name


@pytest.mark.parametrize("asked", CONTROLS, ids=lambda c: c.field.name)
def test_every_choice_carries_its_value_as_json(asked):
    for option in asked.options:
        if option.value:
            assert (
                asked.field.problem([json.loads(option.value)] if asked.shape == "checks" else json.loads(option.value))
                is None
            )


def test_a_special_value_is_a_box_of_its_own():
    metastases = next(c for c in CONTROLS if c.field.special)
    boxes = [a for a in Elements(render_control(metastases)).all("input") if a["type"] == "checkbox"]
    assert [a["value"] for a in boxes] == [str(v) for v in metastases.field.special]
    assert all(accepts(SPEC, metastases.field, v) for v in metastases.field.special)


def test_a_code_that_stands_alone_is_marked_for_the_script():
    disease = next(c for c in CONTROLS if c.field.exclusive)
    alone = [a["value"] for a in Elements(render_control(disease)).all("input") if "data-exclusive" in a]
    assert alone == ["", json.dumps(disease.field.exclusive)]


def test_what_is_written_in_the_specification_cannot_become_markup():
    field = SPEC.asked[1].model_copy(update={"label": "<script>alert(1)</script>", "ask": '"><img src=x>'})
    written = render_control(control(field))
    assert "<script>" not in written
    assert "<img" not in written


def test_a_changed_limit_changes_the_form():
    parts = read_parts()
    age = next(f for f in parts["fields"] if f["name"] == "age_years")
    age["hard"], age["usual"] = [18, 60], [18, 60]
    changed = Specification(parts)
    assert accepts(SPEC, SPEC.fields["age_years"], 70)
    assert not accepts(changed, changed.fields["age_years"], 70)


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.TEXT])
def test_a_clinician_is_never_asked_for_a_date_or_a_text(kind):
    field = Field(name="x", label="X", group="g", kind=kind, known_at=Time.BASELINE, roles=("predictor",), why="y")
    with pytest.raises(ValueError, match="field x: the form has no control"):
        control(field)


@pytest.mark.parametrize(("written", "shown"), [("kg/m2", "kg/m²"), ("10^9/L", "10⁹/L"), ("g/L", "g/L"), ("mm", "mm")])
def test_exponents_are_raised(written, shown):
    assert pretty(written) == shown
