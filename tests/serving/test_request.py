"""What a request may hold, and the words in which it is refused."""

import json
import timeit
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from features import Kind, Specification, Time, load_specification
from features.specification import read_parts
from serving.planned import MOST_REGIMENS
from serving.problems import problems_in
from serving.request import MOST_PATIENTS, request_models

SPEC = load_specification()
MODELS = request_models(SPEC)
LATER = [f for f in SPEC.fields.values() if f.known_at is not Time.BASELINE and not f.identifying]
IDENTIFYING = [f for f in SPEC.fields.values() if f.identifying]


def inside(field: Any) -> Any:
    """A value that fits a field."""
    if field.numeric:
        return field.usual[0] if field.kind is Kind.NUMBER else int(field.usual[0])
    return {Kind.BOOLEAN: True, Kind.CATEGORY: next(iter(field.codes), None)}.get(field.kind, [*field.codes][:1])


REQUIRED = {f.name: inside(f) for f in SPEC.asked if f.required}


def ask(body: Any, model: type[BaseModel] = MODELS.predict) -> BaseModel:
    return model.model_validate_json(body if isinstance(body, str) else json.dumps(body))


def refused(body: Any, model: type[BaseModel] = MODELS.predict) -> dict[str, tuple[str, str]]:
    """Code and message by path."""
    with pytest.raises(ValidationError) as error:
        ask(body, model)
    return {p.field: (p.code, p.message) for p in problems_in(error.value, MODELS.message_for)}


def patient(**values: Any) -> dict[str, Any]:
    return {"patient": {**REQUIRED, **values}}


def regimens(*entries: Any) -> dict[str, Any]:
    return {**patient(), "regimens": list(entries)}


FOLFOX = {"backbone": "folfox", "biologic": "none", "planned_cycles": 6}


def test_only_the_required_fields_are_needed_and_all_regimens_are_meant():
    asked: Any = ask(patient())
    assert asked.regimens is None
    assert asked.profile == SPEC.flags.profiles[0]
    assert {name for name, value in asked.patient if value is not None} == set(REQUIRED)


@pytest.mark.parametrize("field", SPEC.asked, ids=lambda f: f.name)
def test_a_value_that_fits_arrives_as_it_was_sent(field):
    asked: Any = ask(patient(**{field.name: inside(field)}))
    assert getattr(asked.patient, field.name) == inside(field)


@pytest.mark.parametrize("field", [f for f in SPEC.asked if not f.required], ids=lambda f: f.name)
def test_null_is_not_known(field):
    asked: Any = ask(patient(**{field.name: None}))
    assert getattr(asked.patient, field.name) is None


@pytest.mark.parametrize("field", [f for f in SPEC.asked if f.required], ids=lambda f: f.name)
@pytest.mark.parametrize("given", [{}, {"null": True}])
def test_a_required_field_is_missed(field, given):
    sent = {**REQUIRED, field.name: None} if given else {k: v for k, v in REQUIRED.items() if k != field.name}
    assert refused({"patient": sent})[f"patient.{field.name}"][0] == "missing_required"


@pytest.mark.parametrize("field", SPEC.asked, ids=lambda f: f.name)
@pytest.mark.parametrize(
    "wrong", ['"54"', "true", "54.5", "-1e6", "1e6", '"no such code"', "[]", "{}", '["no such"]', "1e400"]
)
def test_code_and_message_are_those_of_the_field_itself(field, wrong):
    value = json.loads(wrong)
    problem = field.problem(value)
    if problem is None:
        assert ask(patient(**{field.name: value})).patient
        return
    body = json.dumps(patient()).removesuffix("}}") + f', "{field.name}": {wrong}}}}}'
    assert refused(body)[f"patient.{field.name}"] == (problem.code, problem.message)


@pytest.mark.parametrize("field", [f for f in SPEC.asked if f.numeric], ids=lambda f: f.name)
def test_the_limits_are_allowed_and_nothing_beyond_them(field):
    step = 1 if field.kind is Kind.INTEGER else 1e-6
    for limit, beyond in zip(field.hard, (field.hard[0] - step, field.hard[1] + step), strict=True):
        ask(patient(**{field.name: limit}))
        if beyond not in field.special:
            assert f"patient.{field.name}" in refused(patient(**{field.name: beyond}))


@pytest.mark.parametrize("field", [f for f in SPEC.asked if f.numeric], ids=lambda f: f.name)
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_no_number_that_is_none_passes(field, literal):
    sent = {name: value for name, value in REQUIRED.items() if name != field.name}
    body = json.dumps({"patient": {**sent, field.name: 0}}).replace(f'"{field.name}": 0', f'"{field.name}": {literal}')
    code, message = refused(body)[f"patient.{field.name}"]
    assert code in ("wrong_type", "malformed", "missing_required")
    assert field.allowed() in message


def test_a_whole_number_may_be_written_with_a_point_but_not_broken():
    asked: Any = ask(patient(age_years=54.0))
    assert asked.patient.age_years == 54
    assert isinstance(asked.patient.age_years, int)
    assert refused(patient(age_years=54.0000001))["patient.age_years"][0] == "wrong_type"


def test_a_number_of_hundreds_of_digits_is_refused_as_too_high():
    assert refused(f'{{"patient": {{"age_years": {"9" * 500}}}}}')["patient.age_years"][0] == "above_hard_limit"


def test_uncountable_metastases_have_a_number_of_their_own():
    ask(patient(n_liver_metastases=99))
    code, message = refused(patient(n_liver_metastases=98))["patient.n_liver_metastases"]
    assert code == "above_hard_limit"
    assert "99 for uncountable" in message


def test_a_slip_of_units_is_hinted_at():
    code, message = refused(patient(albumin_g_l=4.1))["patient.albumin_g_l"]
    assert code == "below_hard_limit"
    assert "multiply by 10 to get g/L" in message
    assert "4.1" not in message


def test_a_choice_that_stands_alone_is_not_combined_nor_repeated():
    assert refused(patient(extrahepatic_disease=["none", "lung"]))["patient.extrahepatic_disease"][0] == "malformed"
    assert refused(patient(extrahepatic_disease=["lung", "lung"]))["patient.extrahepatic_disease"][0] == "malformed"
    assert ask(patient(extrahepatic_disease=["lung", "bone"]))


def test_an_empty_text_is_no_way_to_say_not_known():
    code, message = refused(patient(albumin_g_l=""))["patient.albumin_g_l"]
    assert code == "malformed"
    assert "leave it out if it is not known" in message


@pytest.mark.parametrize("field", LATER, ids=lambda f: f.name)
def test_a_field_known_later_is_named_with_both_times(field):
    code, message = refused(patient(**{field.name: 1}))[f"patient.{field.name}"]
    assert code == "post_baseline_field"
    assert field.known_at.value in message
    assert "predicts at baseline" in message


@pytest.mark.parametrize("name", SPEC.outcomes.names)
def test_an_outcome_is_no_input(name):
    assert refused(patient(**{name: True}))[f"patient.{name}"][0] == "post_baseline_field"


@pytest.mark.parametrize("field", IDENTIFYING, ids=lambda f: f.name)
def test_what_identifies_a_patient_is_refused_under_every_name(field):
    for name in (field.name, *field.aliases, field.name.upper()):
        assert refused(patient(**{name: "x"}))[f"patient.{name}"][0] == "identifying_field"


@pytest.mark.parametrize("name", SPEC.derived)
def test_a_derived_field_is_refused_with_what_to_give_instead(name):
    code, message = refused(patient(**{name: 1}))[f"patient.{name}"]
    assert code == "derived_field"
    assert all(i in message for i in SPEC.derived[name].inputs)


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("ecog", "unknown_field", "Did you mean ecog_ps?"),
        ("platelet_10e9_l", "unknown_field", "Did you mean platelets_10e9_l?"),
        ("zodiac_sign", "unknown_field", "GET /specification"),
        ("planned_backbone", "misplaced_field", "regimens"),
        ("flr_method", "unused_field", "leave it out"),
    ],
)
def test_an_unknown_field_is_refused_with_a_hint(name, code, hint):
    told, message = refused(patient(**{name: 1}))[f"patient.{name}"]
    assert told == code
    assert hint in message


def test_every_problem_is_told_at_once():
    body = {
        "patient": {"albumin_g_l": 4.1, "bilobar": 1, "r_status": "r0", "mrn": 7},
        "regimens": [
            {"backbone": "XELOX", "biologic": "none"},
            {"backbone": "capox", "biologic": "none", "planned_cycles": 17},
        ],
        "profile": "mars",
        "age_years": 54,
    }
    assert {path: code for path, (code, _) in refused(body).items()} == {
        "patient.age_years": "missing_required",
        "patient.albumin_g_l": "below_hard_limit",
        "patient.bilobar": "wrong_type",
        "patient.r_status": "post_baseline_field",
        "patient.mrn": "identifying_field",
        "regimens.0.backbone": "unknown_regimen",
        "regimens.1.planned_cycles": "too_many_weeks",
        "profile": "unknown_code",
        "age_years": "misplaced_field",
    }


def test_a_value_is_repeated_in_no_message_and_no_error_text():
    body = patient(albumin_g_l=4.127, ras_status="Jane Doe", extrahepatic_disease=["Jane Doe"], bilobar="Jane Doe")
    with pytest.raises(ValidationError) as error:
        ask(body)
    told = [str(error.value), *(m for _, m in refused(body).values())]
    assert not [text for text in told if "Jane" in text or "4.127" in text]


@pytest.mark.parametrize(
    ("written", "hint"),
    [("XELOX", "Write capox."), ("UFT", "UFT (tegafur-uracil) is not covered"), ("aspirin", "Not a regimen")],
)
def test_an_unknown_backbone_is_refused_with_what_is_allowed(written, hint):
    code, message = refused(regimens({**FOLFOX, "backbone": written}))["regimens.0.backbone"]
    assert code == "unknown_regimen"
    assert hint in message
    assert all(b.name in message for b in SPEC.regimens.backbones)


def test_a_biologic_must_be_said():
    assert refused(regimens({"backbone": "folfox"}))["regimens.0.biologic"][0] == "missing_required"


@pytest.mark.parametrize("backbone", SPEC.regimens.backbones, ids=lambda b: b.name)
def test_forty_eight_weeks_are_the_most(backbone):
    most = 48 // backbone.cycle_weeks
    ask(regimens({"backbone": backbone.name, "biologic": "none", "planned_cycles": most}))
    problem = refused(regimens({"backbone": backbone.name, "biologic": "none", "planned_cycles": most + 1}))
    assert f"1 to {most} cycles" in problem["regimens.0.planned_cycles"][1] or most == 24


@pytest.mark.parametrize("cycles", [0, 25, "6", 6.5, True])
def test_cycles_are_a_whole_number_within_limits(cycles):
    assert "regimens.0.planned_cycles" in refused(regimens({**FOLFOX, "planned_cycles": cycles}))


def test_a_regimen_may_come_twice_with_other_cycles_but_not_the_same():
    ask(regimens(FOLFOX, {**FOLFOX, "planned_cycles": 8}))
    for same in (FOLFOX, {**FOLFOX, "planned_cycles": None}, {"backbone": "folfox", "biologic": "none"}):
        code, message = refused(regimens(FOLFOX, same))["regimens"]
        assert code == "duplicate_regimen"
        assert "Entries 1 " in message


def test_a_list_of_regimens_has_an_end():
    many = [{**FOLFOX, "biologic": a.name, "planned_cycles": c} for a in SPEC.regimens.biologics for c in range(1, 25)]
    ask(regimens(*many[:MOST_REGIMENS]))
    assert refused(regimens(*many))["regimens"][0] == "too_many"
    assert refused(regimens())["regimens"][0] == "too_few"


def test_a_batch_names_the_patient_at_fault():
    body = {"patients": [REQUIRED, {**REQUIRED, "albumin_g_l": 4.1}]}
    assert list(refused(body, MODELS.batch)) == ["patients.1.albumin_g_l"]


def test_a_batch_has_one_to_a_thousand_patients():
    ask({"patients": [REQUIRED] * MOST_PATIENTS}, MODELS.batch)
    assert refused({"patients": [REQUIRED] * (MOST_PATIENTS + 1)}, MODELS.batch)["patients"][0] == "too_many"
    assert refused({"patients": []}, MODELS.batch)["patients"][0] == "too_few"


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ("{", "body", "invalid_json"),
        ("[" * 100_000, "body", "invalid_json"),
        ("[]", "body", "wrong_type"),
        ("{}", "patient", "missing_required"),
        ('{"patient": 3}', "patient", "wrong_type"),
        ('{"patient": {"age_years": 54}, "regimens": 3}', "regimens", "wrong_type"),
        ('{"patient": {"age_years": 54}, "regimens": [3]}', "regimens.0", "wrong_type"),
        ('{"patient": {"age_years": 54}, "profile": null}', "profile", "unknown_code"),
        ('{"patient": {"age_years": 54}, "verbose": true}', "verbose", "unknown_field"),
    ],
)
def test_a_body_of_another_shape_is_refused_in_words(body, path, code):
    assert refused(body)[path][0] == code


@pytest.mark.parametrize("field", SPEC.asked, ids=lambda f: f.name)
def test_the_json_schema_carries_what_a_client_needs(field):
    described = MODELS.predict.model_json_schema()["$defs"]["Patient"]["properties"][field.name]
    assert described["title"] == field.label
    assert field.allowed() in described["description"]
    assert described.get("unit") == field.unit
    shapes = [described, *described.get("anyOf", [])]
    shapes += [inner for shape in shapes for inner in shape.get("anyOf", [])]
    if field.numeric:
        limited = next(shape for shape in shapes if "minimum" in shape)
        assert (limited["minimum"], limited["maximum"]) == field.hard
        assert limited["type"] == field.kind.value
        assert {shape["const"] for shape in shapes if "const" in shape} == set(field.special)
    if field.codes:
        listed = next(s for shape in shapes for s in (shape, shape.get("items", {})) if "enum" in s)
        assert listed["enum"] == list(field.codes)


def test_the_schema_of_a_request_has_exactly_the_asked_fields():
    assert set(MODELS.predict.model_json_schema()["$defs"]["Patient"]["properties"]) == {f.name for f in SPEC.asked}


def test_another_limit_in_the_specification_is_another_request():
    parts = read_parts()
    age = next(f for f in parts["fields"] if f["name"] == "age_years")
    age["hard"], age["usual"] = [18, 60], [18, 60]
    stricter = request_models(Specification(parts))
    assert ask(patient(age_years=70))
    with pytest.raises(ValidationError):
        ask(patient(age_years=70), stricter.predict)


def test_a_request_is_judged_in_microseconds():
    body = json.dumps({**patient(albumin_g_l=40, ras_status="wt", bilobar=True), "regimens": [FOLFOX]})
    # The target is 60; the limit leaves room for a busy machine and still catches a validator per field.
    assert min(timeit.repeat(lambda: ask(body), number=200, repeat=5)) / 200 < 300e-6
