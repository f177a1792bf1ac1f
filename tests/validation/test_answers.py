"""A condition asked of a table answers as it does asked of each patient."""

import datetime as dt
from random import Random

import numpy as np
import pytest

from features import Kind, Patients, Time
from features.facts import patient_facts
from features.rule import Condition
from features.specification import parse_condition
from validation.answers import answers, complaints
from validation.scores import load_scores


def value(field, random):
    if random.random() < 0.25:
        return None
    if field.kind is Kind.CATEGORY:
        return random.choice(list(field.codes))
    if field.kind is Kind.CODES:
        others = [c for c in field.codes if c != field.exclusive]
        alone = field.exclusive is not None and random.random() < 0.4
        return [field.exclusive] if alone else random.sample(others, random.randint(1, 2))
    if field.kind is Kind.BOOLEAN:
        return random.random() < 0.5
    if field.kind is Kind.DATE:
        return dt.date(2020, 1, 1) + dt.timedelta(days=random.randint(0, 900))
    low, high = field.usual
    return random.choice([*field.special, round(random.uniform(low, high)), round(low), round(high)])


@pytest.fixture(scope="module")
def records(spec):
    fields = [f for f in spec.fields.values() if f.kind is not Kind.TEXT and not f.identifying]
    return [{f.name: value(f, Random(f"{i}{f.name}")) for f in fields} for i in range(150)]


def declared(spec):
    conditions = [r.when for r in spec.flags.rules] + [r.when for r in spec.consistency]
    conditions += [o.recorded for o in spec.outcomes.outcomes if o.recorded is not None]
    conditions += [i.when for s in load_scores(spec) for i in s.items]
    return [c for c in conditions if not complaints("any", c, spec)]


def test_every_declared_condition_answers_as_it_does_one_by_one(spec, records):
    patients = Patients.from_records(spec, records)
    facts = [patient_facts(spec, record, Time.OUTCOME) for record in records]
    tried = declared(spec)
    assert len(tried) > 25
    for condition in tried:
        found = answers(condition, patients)
        one_by_one = [condition.evaluate(f, spec.unknown_codes) for f in facts]
        assert [None if np.isnan(x) else bool(x) for x in found] == one_by_one, condition


@pytest.mark.parametrize(
    "condition",
    [
        {"fact": "ras_status", "is": "not_tested"},
        {"fact": "ras_status", "unknown": True},
        {"fact": "ras_status", "unknown": False},
        {"fact": "bilobar", "is": False},
        {"fact": "age_years", "in": [70, 71, 72]},
        {"not": {"any": [{"fact": "ras_status", "in": ["wt", "failed"]}, {"fact": "age_years", "at_least": 60}]}},
        {"fact": "primary_diagnosis_date", "before": "liver_metastases_date"},
        {"fact": "primary_diagnosis_date", "after": "liver_metastases_date"},
        {"fact": "primary_side", "is": "left"},
        {"fact": "extrahepatic_disease", "has_any": ["lung", "bone"]},
        {"fact": "extrahepatic_disease", "unknown": True},
    ],
    ids=str,
)
def test_every_comparison_answers_as_it_does_one_by_one(spec, records, condition):
    condition = parse_condition(condition)
    found = answers(condition, Patients.from_records(spec, records))
    one_by_one = [condition.evaluate(patient_facts(spec, r, Time.OUTCOME), spec.unknown_codes) for r in records]
    assert [None if np.isnan(x) else bool(x) for x in found] == one_by_one
    assert len(set(one_by_one)) > 1


def test_a_computed_fact_is_asked_like_any_other(spec):
    patients = Patients.from_records(spec, [{}, {}, {}])
    found = answers(Condition(fact="months", below=12), patients, {"months": np.array([3.0, 20.0, np.nan])})
    assert found == pytest.approx([1, 0, np.nan], nan_ok=True)


def test_an_unknown_name_and_an_unknown_code_are_complaints_that_name_both(spec):
    condition = parse_condition({"any": [{"fact": "no_such", "above": 1}, {"fact": "sex", "is": "cat"}]})
    found = "\n".join(complaints("rule one", condition, spec))
    assert "rule one: no_such" in found
    assert "cat is not a code of sex" in found
