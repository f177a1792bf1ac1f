"""No name of the specification is written in code: names live in features/data and are reached from there."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "features" / "data"
#: Files whose entries are fields, outcomes, regimens, flags and rules; the others declare no new names.
DECLARING = (
    "fields.yaml",
    "derived.yaml",
    "outcomes.yaml",
    "regimens.yaml",
    "flags.yaml",
    "consistency.yaml",
)
SCANNED = ("features", "validation", "training", "serving", "benchmarks")

#: Names that also mean something else, so that the literal says nothing about the specification.
ORDINARY = {
    "none": "a value of many settings; the biologic of that name is reached by its having no drugs",
    "planned_cycles": "a property of a regimen, and so a key of requests and answers, that a field records",
}


def names_in(node: Any) -> Iterator[str]:
    """Yield what the entries of a data file are called."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("name", "code") and isinstance(value, str):
                yield value
            else:
                yield from names_in(value)
    elif isinstance(node, list):
        for entry in node:
            yield from names_in(entry)


@cache
def names_of(file: str) -> frozenset[str]:
    return frozenset(names_in(yaml.safe_load((DATA / file).read_text(encoding="utf-8"))))


def declared() -> frozenset[str]:
    return frozenset().union(*map(names_of, DECLARING))


def written_names(source: str, names: frozenset[str]) -> list[tuple[int, str]]:
    """Return line and name of every string literal that equals a name; the parts of an f-string are text."""
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value in names and id(node) not in parts
    ]


def modules() -> list[Path]:
    return sorted([*ROOT.glob("*.py"), *(file for room in SCANNED for file in (ROOT / room).rglob("*.py"))])


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_writes_a_name_of_the_specification(module):
    found = written_names(module.read_text(encoding="utf-8"), declared() - set(ORDINARY))
    assert not found, "\n".join(
        f"{module.relative_to(ROOT)}:{line}: {name!r} is written in code. Reach it by its role, by "
        "iteration or from a data file that is checked against the specification."
        for line, name in found
    )


@pytest.mark.parametrize("name", ["age_years", "conversion_12m", "folfox", "RAS_MUT_ANTI_EGFR", "primary_side"])
def test_a_name_written_in_code_is_found(name):
    assert written_names(f"x = 1\nage = patient[{name!r}]\n", declared()) == [(2, name)]


def test_a_default_a_key_and_a_match_are_found_too():
    source = 'def f(a="folfox"): return {"age_years": a}\nmatch x:\n    case "fulv": pass\n'
    assert [name for _, name in written_names(source, declared())] == ["folfox", "age_years", "fulv"]


def test_prose_that_mentions_a_name_is_no_finding():
    assert written_names('"""About age_years."""\nf"{x} folfox"\nage_years = "ages"\n', declared()) == []


@pytest.mark.parametrize("file", DECLARING)
def test_every_declaring_file_declares_something(file):
    assert names_of(file)


def test_no_exception_is_stale():
    assert set(ORDINARY) <= declared()
