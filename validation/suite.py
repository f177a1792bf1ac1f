"""The Great Expectations suites: derived from the specification, with nothing about a field typed here.

There are three kinds, for there are three things to look at: the rows, the columns as such, and the figures of each
site. The rows have a suite for each group of fields, so that a page of Data Docs stays readable.
Every expectation is one of Great Expectations' own and carries a `Requirement` as its ``meta``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from features import Field, Outcome, Role, Specification, Time
from validation import columns as column_table
from validation import rows as row_table
from validation import sites as site_table
from validation.cell import Written
from validation.field_suite import about_cells, about_missing, slip_suspected
from validation.keys import Keys
from validation.requirement import Requirement, told_with

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

#: Names of the suites that are not about a group of fields.
ROWS, COLUMNS, SITES = "rows", "columns", "sites"
#: Stands for the field in what is said of the predictors offered.
PREDICTORS = "predictors"


def row_suites(spec: Specification, present: Collection[str] | None = None) -> Iterator[ExpectationSuite]:
    """Derive what every row must meet: one suite for each group of fields, and one for rows as wholes.

    Parameters
    ----------
    present
        Columns that the registry has; None stands for all. What is absent is expected only where it is required.
    """
    from great_expectations import ExpectationSuite

    for group in dict.fromkeys(f.group for f in spec.registry_fields):
        expectations = [e for f in spec.registry_fields if f.group == group for e in _about_field(f, present)]
        if expectations:
            yield ExpectationSuite(name=group, expectations=expectations)
    outcomes = [spec.outcomes[name] for name in spec.outcomes.names if present is None or name in present]
    expectations = [e for outcome in outcomes for e in _about_outcome(outcome, present)]
    yield ExpectationSuite(name=ROWS, expectations=[*_about_rows(spec, present), *expectations])


def _about_field(field: Field, present: Collection[str] | None) -> Iterator[Any]:
    from great_expectations import expectations as gxe

    if field.required:
        yield gxe.ExpectColumnToExist(column=field.name, **told_with(_must_exist(field)))
    if present is None or field.name in present:
        yield from about_cells(field)
        yield from about_missing(field)


def column_suite(spec: Specification, predict_at: Time) -> ExpectationSuite:
    """Derive what the columns must meet: none identifies a patient, and no predictor is known too late."""
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as gxe

    expectations: list[Any] = []
    for field in spec.fields.values():
        if field.identifying:
            told = told_with(_identifying(field))
            for column in (column_table.NAMED, column_table.HELD):
                names = column_table.names_of(field)
                expectations.append(gxe.ExpectColumnValuesToNotBeInSet(column=column, value_set=names, **told))
    things: list[Any] = [*spec.fields.values(), *spec.derived.values(), *spec.outcomes.outcomes]
    late = [t.name for t in things if not t.known_at.by(predict_at)]
    idle = [f.name for f in spec.fields.values() if Role.PREDICTOR not in f.roles and f.name not in late]
    column = column_table.OFFERED
    for refused, requirement in ((late, _late(predict_at)), (idle, _never_predicts())):
        told = told_with(requirement)
        expectations.append(gxe.ExpectColumnValuesToNotBeInSet(column=column, value_set=refused, **told))
    names = [t.name for t in things]
    expectations.append(
        gxe.ExpectColumnValuesToBeInSet(column=column, value_set=names, **told_with(_unknown_predictor()))
    )
    return ExpectationSuite(name=COLUMNS, expectations=expectations)


def site_suite(spec: Specification, present: Collection[str]) -> ExpectationSuite:
    """Derive what the figures of each site must meet."""
    from great_expectations import ExpectationSuite
    from great_expectations import expectations as gxe

    expectations = []
    for outcome in spec.outcomes.outcomes:
        column, told = site_table.outcome_column(outcome.name), told_with(_one_value(outcome))
        expectations.append(
            gxe.ExpectColumnValuesToBeBetween(
                column=column, min_value=0, max_value=1, strict_min=True, strict_max=True, **told
            )
        )
    for field in spec.registry_fields:
        for slip in field.unit_slips if field.name in present else ():
            column, told = site_table.slip_column(field, slip), told_with(slip_suspected(field, slip.unit, "site"))
            expectations.append(gxe.ExpectColumnValuesToBeBetween(column=column, max_value=site_table.MOSTLY, **told))
    return ExpectationSuite(name=SITES, expectations=expectations)


def _about_outcome(outcome: Outcome, present: Collection[str] | None) -> Iterator[Any]:
    from great_expectations import expectations as gxe

    name = outcome.name
    do = f"Correct the cells, or say in the column map what they mean (codes: {name})"
    wrong_type = Requirement(name, "wrong_type", f"{outcome.label} is not yes or no", "yes or no", do)
    column = f"{name}{row_table.WRITTEN}"
    yield gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[str(Written.TRUTH)], **told_with(wrong_type))
    if outcome.within is not None and (present is None or outcome.within in present):
        orphan = Requirement(
            f"{outcome.within}, {name}",
            "outcome_without_parent",
            f"{outcome.label} is recorded as having happened although {outcome.within} is recorded as not",
            f"{name} only within {outcome.within}",
            "Correct one of them",
        )
        yield gxe.ExpectColumnValuesToBeNull(column=f"{name}{row_table.ORPHAN}", **told_with(orphan))


def _about_rows(spec: Specification, present: Collection[str] | None) -> Iterator[Any]:
    from great_expectations import expectations as gxe

    yield gxe.ExpectTableRowCountToBeBetween(min_value=1, **told_with(_any_rows(spec)))
    for rule in spec.consistency:
        broken = Requirement(", ".join(rule.fields), rule.code, rule.text, "values that can be true together", rule.do)
        yield gxe.ExpectColumnValuesToBeNull(column=f"{row_table.RULE}{rule.code}", **told_with(broken))
    key = Keys.of(spec).patient
    if present is None or key.name in present:
        twice = Requirement(
            key.name,
            "duplicated_patient",
            f"{key.label} is given to more than one row",
            "each patient once",
            "Keep one row a patient. If sites number their patients apart, put the site before the number",
        )
        yield gxe.ExpectColumnValuesToBeUnique(column=key.name, **told_with(twice))
    alike = Requirement(
        key.name,
        "possibly_duplicated_patient",
        "Rows agree in everything recorded before cycle 1",
        "each patient once",
        "Check whether they are one patient under two pseudonyms",
        severity="warning",
    )
    yield gxe.ExpectColumnValuesToBeUnique(column=row_table.SAME, **told_with(alike))


def _any_rows(spec: Specification) -> Requirement:
    return Requirement(
        Keys.of(spec).patient.name, "no_rows", "The registry has no rows", "one row a patient", "Export it again",
        scope="column",
    )  # fmt: skip


def _must_exist(field: Field) -> Requirement:
    others = ", ".join(field.aliases)
    return Requirement(
        field.name,
        "missing_required_column",
        f"The column of {field.label} is missing",
        f"a column {field.name}{f' (or {others})' if others else ''}",
        "Export it, or name your column for it in the column map",
        scope="column",
    )


def _identifying(field: Field) -> Requirement:
    return Requirement(
        field.name,
        "identifying_column",
        f"A column holds what identifies a patient: {field.label}",
        f"no such column. {field.why}",
        "Remove the column from the file",
        scope="column",
    )


def _late(predict_at: Time) -> Requirement:
    return Requirement(
        PREDICTORS,
        "post_baseline_predictor",
        f"Offered as a predictor, but known only after {predict_at.value}, when the model predicts",
        f"what is known by {predict_at.value}",
        "Remove it from the predictors",
        scope="column",
    )


def _never_predicts() -> Requirement:
    return Requirement(
        PREDICTORS,
        "not_a_predictor",
        "Offered as a predictor, but it identifies, plans, decides who belongs, or only raises a flag",
        "fields whose role is predictor",
        "Remove it from the predictors",
        scope="column",
    )


def _unknown_predictor() -> Requirement:
    return Requirement(
        PREDICTORS,
        "unknown_predictor",
        "Offered as a predictor, but the specification does not know it",
        "names of fields",
        "Correct the name",
        scope="column",
    )


def _one_value(outcome: Outcome) -> Requirement:
    return Requirement(
        outcome.name,
        "single_valued_outcome",
        f"{outcome.label} is the same for every patient of a site",
        "both yes and no, unless the patients are few",
        "Ask the site how it records this outcome; an empty cell may have been exported as no",
        severity="warning",
        scope="site",
    )
