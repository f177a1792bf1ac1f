"""The suites follow from the specification alone."""

import copy

import pytest

from features import Kind, Specification, Time
from features.specification import read_parts
from validation.requirement import Requirement
from validation.suite import column_suite, row_suites, site_suite


@pytest.fixture(scope="module")
def expectations(spec):
    names = [f.name for f in spec.fields.values()]
    suites = [*row_suites(spec), column_suite(spec, Time.BASELINE), site_suite(spec, names)]
    return [e for suite in suites for e in suite.expectations]


def of(expectations, column, kind):
    return [e for e in expectations if getattr(e, "column", None) == column and type(e).__name__ == kind]


def test_every_expectation_says_field_code_what_is_allowed_and_what_to_do(expectations):
    for expectation in expectations:
        told = Requirement.read(expectation.meta)
        assert all((told.field, told.code, told.what, told.allowed, told.do))
        assert (told.severity == "error") == (expectation.severity.value == "critical")
        assert not told.what.endswith(".") and not told.do.endswith("."), "the report writes the sentence's end"


def test_every_expectation_is_one_of_great_expectations_own(expectations):
    assert {type(e).__module__.split(".")[:3][0] for e in expectations} == {"great_expectations"}


def test_limits_and_codes_are_those_of_the_fields(spec, expectations):
    for field in spec.registry_fields:
        if field.numeric:
            between = of(expectations, field.name, "ExpectColumnValuesToBeBetween")
            assert field.hard[0] in {e.min_value for e in between}
            assert field.hard[1] in {e.max_value for e in between}
        if field.kind is Kind.CATEGORY:
            (among,) = of(expectations, field.name, "ExpectColumnValuesToBeInSet")
            assert list(among.value_set) == list(field.codes)


def test_required_fields_and_the_key_are_demanded(spec, expectations):
    assert {e.column for e in expectations if type(e).__name__ == "ExpectColumnToExist"} == {
        f.name for f in spec.fields.values() if f.required
    }
    (key,) = of(expectations, "record_id", "ExpectColumnValuesToBeUnique")
    assert key.meta["code"] == "duplicated_patient"


def test_every_consistency_rule_is_asked(spec, expectations):
    assert {r.code for r in spec.consistency} <= {e.meta["code"] for e in expectations}


def test_nothing_is_asked_of_columns_that_are_absent(spec):
    suites = row_suites(spec, ["record_id", "age_years"])
    columns = {
        e.column
        for s in suites
        for e in s.expectations
        if type(e).__name__ != "ExpectColumnToExist" and hasattr(e, "column")
    }
    assert {c.split(".")[0] for c in columns} <= {"record_id", "age_years", "rule", "same_values_as"}


def test_a_changed_field_changes_its_expectations_and_no_others(spec, expectations):
    parts = copy.deepcopy(read_parts())
    entry = next(f for f in parts["fields"] if f["name"] == "albumin_g_l")
    entry["hard"] = [9, 70]
    entry["required"] = True
    changed = [e for suite in row_suites(Specification(parts)) for e in suite.expectations]
    rows = [e for suite in row_suites(spec) for e in suite.expectations]

    def told(expectations):
        return {(type(e).__name__, repr(e.dict(exclude={"id", "rendered_content"}))) for e in expectations}

    differing = told(changed) ^ told(rows)
    assert differing and all("albumin_g_l" in words for _, words in differing)
    assert {"ExpectColumnToExist", "ExpectColumnValuesToBeBetween"} <= {kind for kind, _ in differing}
