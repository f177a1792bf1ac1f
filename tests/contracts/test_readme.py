"""What the README and the pages in docs/ say is so: commands, paths, addresses, the request and its answer.

The request, the answer and the table in the README stand between markers. They are written anew, from the default
model, by `python tests/contracts/test_readme.py`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import resecta
from features import load_specification
from serving.answer import Scorer
from serving.application import Application
from serving.measures import Measures
from serving.request import request_models
from serving.response import response_models
from serving.routes import Routes
from training.bundle import Manifest, OutcomeModel, Support, TrainedOn, load_bundle, save_bundle
from training.evidence import load_parameters
from training.registry import read_registry

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
# The domain page is a source, written before the project; it names files of other projects and of plans.
PAGES = [README, *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name != "domain.md")]
#: Written by other tests' subjects, or naming what only a run makes.
WRITTEN_BY_HAND = [p for p in PAGES if p.name != "data_dictionary.md"]
EXAMPLE = ROOT / "examples" / "patient.json"
#: What a run makes, or what stands for a reader's own file.
MADE = {"bundle", "exported", "mlruns", ".venv", "data_docs", "registry.csv", "simulated.csv", "columns.yaml"}
LARGEST_PICTURE = 400_000
SHOWN = {
    "All disease removed": "conversion_12m",
    "Any liver surgery": "resection_12m",
    "Major complication, if resected": "major_complication",
    "Sinusoidal injury, if resected": "sinusoidal_injury",
}


# --- what is shown in the README --------------------------------------------------------------------------------------


@cache
def answer() -> dict[str, Any]:
    """Answer the example with the model that is served by default, without a registry."""
    spec, parameters = load_specification(), load_parameters()
    manifest = Manifest(
        name="resecta",
        version="1",
        learner="evidence",
        created="2026-01-01T00:00:00+00:00",
        code_version="test",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="evidence", text="A test", data_digest=parameters.evidence_digest),
        outcomes=tuple(OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names),
    )
    request = request_models(spec).predict.model_validate_json(EXAMPLE.read_bytes()).model_dump()
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(save_bundle(Path(folder) / "bundle", manifest, parameters, spec, Support()), spec)
        return Scorer(bundle, spec).answer(request)


def shortened() -> str:
    """The answer with `...` for what is left out."""
    whole = answer()
    first = whole["regimens"][0]

    def line(value: Any, *, more: bool = False) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return f"{text[:-1]}, ...{text[-1]}" if more else text

    model = {k: whole["model"][k] for k in ("name", "version", "learner", "simulated")}
    named = {k: first[k] for k in ("backbone", "biologic", "planned_cycles")}
    outcomes = [f'        "{name}": {line(first["outcomes"][name])},' for name in SHOWN.values()]
    states = {name: round(value, 4) for name, value in first["states"].items()}
    return "\n".join(
        [
            "{",
            f'  "model": {line(model, more=True)},',
            f'  "warnings": {line(whole["warnings"][:1], more=True)},',
            f'  "assumed": {line(whole["assumed"][:1], more=True)},',
            '  "regimens": [',
            "    {",
            f"      {line(named)[1:-1]},",
            '      "outcomes": {',
            *outcomes,
            "        ...",
            "      },",
            f'      "states": {line(states)},',
            '      "state_ranges": {',
            ",\n".join(f'        "{name}": {line(bounds)}' for name, bounds in first["state_ranges"].items()),
            "      },",
            f'      "support": {line(first["support"])},',
            f'      "flags": {line(first["flags"][:1], more=True)}',
            "    },",
            "    ...",
            "  ], ...",
            "}",
        ]
    )


def table() -> str:
    """The regimens of the example side by side."""

    def cell(estimate: Mapping[str, float]) -> str:
        value, low, high = (round(100 * estimate[k]) for k in ("probability", "low", "high"))
        return f"{value} ({low} to {high})"

    rows = []
    for regimen in answer()["regimens"]:
        flags = [f"`{f['code']}`" for f in regimen["flags"] if f["status"] == "present"]
        cells = [cell(regimen["outcomes"][name]) for name in SHOWN.values()]
        rows.append(" | ".join([regimen["label"], *cells, ", ".join(flags)]))
    head = " | ".join(["Regimen, 12 weeks", *SHOWN, "Flags"])
    rule = "---|" + "---:|" * len(SHOWN) + "---"
    return "\n".join([f"| {head} |", f"|{rule}|", *(f"| {row} |" for row in rows)])


def blocks() -> dict[str, str]:
    """What stands between the README's markers."""
    return {
        "request": f"```json\n{EXAMPLE.read_text('utf-8').strip()}\n```",
        "answer": f"```\n{shortened()}\n```",
        "table": table(),
    }


def between(name: str, text: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", text, re.DOTALL)
    assert found, f"README.md has no markers for {name}"
    return found[1]


@pytest.mark.parametrize("name", ["request", "answer", "table"])
def test_what_the_readme_shows_is_what_the_default_model_answers(name):
    assert between(name, README.read_text("utf-8")) == blocks()[name], (
        "the README is stale; run: python tests/contracts/test_readme.py"
    )


def test_the_answer_shown_has_the_declared_shape():
    response_models(load_specification()).predict.model_validate_json(json.dumps(answer()))


def test_the_example_asks_what_the_readme_describes():
    asked = json.loads(EXAMPLE.read_text("utf-8"))
    told = re.search(
        r"A (\d+)-year-old with a RAS-(\w+) tumour and nine .* both lobes, the largest (\d+) mm", text_of()
    )
    assert told
    values = {str(v) for v in asked["patient"].values()}
    assert {told[1], told[2], told[3], "9", "True"} == values


def text_of() -> str:
    return README.read_text("utf-8").replace("\n", " ")


# --- paths ------------------------------------------------------------------------------------------------------------


def links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in target:
            yield target


def paths(page: Path) -> Iterator[str]:
    """Yield what is set as code and looks like a path from the root of the project."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    rooms = {p.name for p in ROOT.iterdir()}
    for code in re.findall(r"`([^`\s]+)`", text):
        first = code.split("/")[0]
        if first in MADE or "://" in code or "*" in code or code.startswith("/"):
            continue
        if ("/" in code and first in rooms) or re.fullmatch(r"\w+\.(py|md|toml|lock|json)", code):
            yield code


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_to_a_file(page):
    assert [t for t in links(page) if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", WRITTEN_BY_HAND, ids=lambda p: p.name)
def test_every_path_that_is_named_exists(page):
    named = set(paths(page))
    anywhere = {p.name for p in (ROOT / "training" / "evidence" / "data").iterdir()}
    assert [p for p in named if not (ROOT / p).exists() and p not in anywhere] == []


def test_every_picture_is_used_described_and_small():
    text = "".join(page.read_text("utf-8") for page in PAGES)
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert [p.name for p in pictures if f"images/{p.name}" not in text] == []
    assert [p.name for p in pictures if p.stat().st_size > LARGEST_PICTURE] == []
    assert re.findall(r"!\[\]\(", text) == []


# --- commands ---------------------------------------------------------------------------------------------------------


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of every command line in an indented or fenced block, comments taken off."""
    for line in page.read_text("utf-8").splitlines():
        if re.match(r"\s{4,}(\w+=\S+ |\.venv/bin/|make |curl )", line) and "|" not in line[:5]:
            words = shlex.split(line.split(" # ")[0], comments=True)
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words = words[1:]
            if words:
                yield words


ALL_COMMANDS = [(page.name, words) for page in PAGES for words in commands(page)]


def test_commands_are_found():
    assert sum(words[0].endswith("resecta") for _, words in ALL_COMMANDS) >= 8
    assert sum(words[0] == "make" for _, words in ALL_COMMANDS) >= 4


@pytest.mark.parametrize(
    "words", [w for _, w in ALL_COMMANDS if w[0].endswith("/resecta")], ids=lambda words: " ".join(words[1:3])
)
def test_every_resecta_command_exists_with_its_options(words):
    parses(typer.main.get_command(resecta.app), words[1:])


def parses(group, words):
    assert words[0] in group.commands, f"resecta has no command {words[0]}"
    command = group.commands[words[0]]
    if hasattr(command, "commands"):
        parses(command, words[1:])
    else:
        # Parses, and calls nothing; a file that the reader is to bring need not exist.
        command.make_context(words[0], list(words[1:]))


def test_every_resecta_command_in_a_sentence_exists():
    for page in PAGES:
        for command in re.findall(r"`resecta ((?:[a-z]+ ?)+)", page.read_text("utf-8")):
            group = typer.main.get_command(resecta.app)
            for word in command.split():
                assert word in group.commands, f"{page.name} names resecta {command}"
                group = group.commands[word]


@pytest.mark.parametrize("target", sorted({w[1] for _, w in ALL_COMMANDS if w[0] == "make"}))
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_module_that_is_run_exists():
    for page in PAGES:
        for module in re.findall(r"python -m ([\w.]+\w)", page.read_text("utf-8")):
            place = ROOT.joinpath(*module.split("."))
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), f"{page.name}: {module}"


def test_every_variable_is_read_somewhere():
    code = "".join(p.read_text("utf-8") for p in [ROOT / "stack.py", *(ROOT / "serving").rglob("*.py")])
    for page in PAGES:
        for name in set(re.findall(r"RESECTA_[A-Z_]+", page.read_text("utf-8"))):
            assert name in code, f"{page.name} names {name}, which nothing reads"


def test_every_address_exists():
    routes = {(m, r.path) for r in Routes(Measures(), Application()).routes for m in r.methods}
    for page in PAGES:
        for method, path in re.findall(r"`(GET|POST) (/[\w.]*)`", page.read_text("utf-8")):
            assert (method, path) in routes, f"{page.name} names {method} {path}"


def test_the_curl_line_sends_the_example():
    (curl,) = [words for name, words in ALL_COMMANDS if words[0] == "curl" and name == "README.md"]
    assert curl[curl.index("-d") + 1] == "@examples/patient.json"
    assert "content-type: application/json" in curl
    assert any(word.endswith("/predict") for word in curl)


# --- bringing a registry ----------------------------------------------------------------------------------------------


def fenced(page: Path, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def registry_page(tmp_path):
    page = ROOT / "docs" / "registry.md"
    (export,), (columns,) = fenced(page, "csv"), fenced(page, "yaml")
    (tmp_path / "export.csv").write_text(export, "utf-8")
    (tmp_path / "columns.yaml").write_text(columns, "utf-8")
    return read_registry(tmp_path / "export.csv", load_specification(), tmp_path / "columns.yaml"), export


def test_the_column_map_reads_the_export_shown_beside_it(registry_page):
    registry, export = registry_page
    spec = load_specification()
    assert registry.problems == ()
    assert registry.unmapped == ()
    assert len(registry.frame) == len(list(csv.reader(io.StringIO(export)))) - 1
    for name in registry.frame.columns:
        wrong = [p.code for v in registry.frame[name] if v is not None and (p := spec.fields[name].problem(v))]
        assert wrong == [], name


def test_the_export_is_read_as_the_page_says(registry_page):
    registry, _ = registry_page
    (shown,) = fenced(ROOT / "docs" / "registry.md", "text")
    rows = [re.split(r"\s{2,}", line.strip()) for line in shown.strip().splitlines()]
    for name, *cells in rows:
        held = ["-" if v is None else ", ".join(v) if isinstance(v, list) else str(v) for v in registry.frame[name]]
        assert held == cells, name


def test_the_required_columns_are_those_named():
    required = [f.name for f in load_specification().fields.values() if f.required]
    for page in (README, ROOT / "docs" / "registry.md"):
        assert [n for n in required if f"`{n}`" not in page.read_text("utf-8")] == []


# --- what must not be there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_page_holds_a_path_of_one_machine(page):
    assert re.findall(r"/(?:home|root|Users|work)/\S*", page.read_text("utf-8")) == []


def test_the_warnings_stand_before_the_first_command():
    before = README.read_text("utf-8").split("## Run it")[0]
    for told in ("Research and education only", "must not be used for care", "longer survival"):
        assert told in before.replace("\n> ", " ")


def test_the_readme_makes_no_regimen_the_best():
    text = text_of()
    assert not re.search(r"\b(best|safest|preferred|optimal) (regimen|choice|option)", text, re.IGNORECASE)


def renew() -> None:
    """Write the blocks between the README's markers anew."""
    text = README.read_text("utf-8")
    for name, block in blocks().items():
        old = between(name, text)
        marker = f"<!-- {name} -->\n"
        start = text.index(marker) + len(marker)
        rest = text[start + len(old) :].lstrip("\n")
        text = f"{text[:start]}{block}\n{rest}"
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    renew()
