"""The data dictionary says everything that is declared, and the committed copy is what is written today."""

from pathlib import Path

import pytest

from features import Specification, load_specification
from features.dictionary import dictionary
from features.specification import read_parts

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "data_dictionary.md"
SPEC = load_specification()
WRITTEN = dictionary(SPEC)


def row(name: str, text: str = WRITTEN) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))


def test_the_committed_copy_is_current():
    assert COMMITTED.read_text("utf-8") == WRITTEN, "docs/data_dictionary.md is stale; run `resecta dictionary`"


@pytest.mark.parametrize("field", SPEC.fields.values(), ids=lambda f: f.name)
def test_a_field_has_its_label_time_reason_and_what_is_allowed(field):
    found = row(field.name)
    assert field.label in found
    assert f"| {field.known_at.value} |" in found
    assert field.why.replace("*", "\\*") in found
    assert ("required" in found.split("|")[4]) == field.required
    if field.identifying:
        assert "refused" in found
    elif field.codes:
        assert all(f"`{code}`" in found for code in field.codes)
    else:
        assert field.allowed() in found


def test_everything_else_that_is_declared_is_named():
    names = [*SPEC.derived, *SPEC.outcomes.names]
    names += [p.name for p in (*SPEC.regimens.backbones, *SPEC.regimens.biologics)]
    names += [r.key or r.code for r in SPEC.flags.rules]
    names += [n.code for n in SPEC.flags.notices]
    names += [r.code for r in SPEC.consistency]
    encoding = SPEC.encoding
    names += [f.name for f in (*encoding.patient_factors, *encoding.regimen_factors, *encoding.interactions)]
    missing = [name for name in names if f"| `{name}` |" not in WRITTEN]
    assert not missing


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head():
    widths: list[int] = []
    for line in WRITTEN.splitlines():
        if not line.startswith("|"):
            widths = []
            continue
        widths.append(line.replace("\\|", "").count("|"))
        assert len(set(widths)) == 1, line


def test_an_outcome_stands_below_the_event_it_cannot_happen_without():
    lines = WRITTEN.splitlines()
    for outcome in SPEC.outcomes.outcomes:
        depth = 2 * len(SPEC.outcomes.ancestors(outcome.name))
        assert f"{' ' * depth}- `{outcome.name}` {outcome.label}" in lines


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LOW_FLR.critical", "`flr_percent` is below 20"),
        ("RAS_MUT_ANTI_EGFR", "`ras_status` is `mutant`"),
        ("death_before_surgery", "`death_date` is before `resection_date`"),
        ("age_over_70", "`age_years`, minus 70, over 10, at least 0"),
        ("bilobar", "yes"),
        ("wild_type", "ras_wild_type × braf_not_v600e"),
    ],
)
def test_conditions_and_formulas_are_said_in_words(name, words):
    assert words in row(name)


def test_a_changed_limit_changes_the_dictionary():
    parts = read_parts()
    next(f for f in parts["fields"] if f["name"] == "age_years")["hard"] = [18, 112]
    changed = dictionary(Specification(parts))
    assert "18 to 110 years" in row("age_years")
    assert "18 to 112 years" in row("age_years", changed)
