"""The page as it is written: complete, closed to the outside, and careful with words."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from features import Specification, load_specification
from features.specification import read_parts
from serving.page import PageTextError, page_text, render_page
from training.bundle import STATES

SPEC = load_specification()
STATIC = Path(__file__).resolve().parents[2] / "serving" / "static"
CARD = {
    "name": "resecta",
    "version": "3",
    "learner": "evidence",
    "trained_on": {"kind": "evidence", "text": "Published studies & no registry", "patients": 0},
    "simulated": False,
    "spec_digest": SPEC.digest,
    "flags_version": SPEC.flags.version,
    "created": "2026-01-01T00:00:00+00:00",
}
PAGE = render_page(SPEC, CARD)
SCRIPTS = sorted(STATIC.glob("*.js"))
FILES = sorted(STATIC.iterdir())


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within in ("script", "style"):
            self.inline.append(data)
        else:
            self.text.append(data)


ELEMENTS = Elements(PAGE)
TEXT = re.sub(r"\s+", " ", " ".join(ELEMENTS.text))


def embedded() -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', PAGE, re.S)[1])


def test_the_title_is_the_name():
    assert "<title>Resecta</title>" in PAGE


def test_every_asked_field_is_on_the_page_once():
    assert [a["data-field"] for _, a in ELEMENTS.found if "data-field" in a] == [f.name for f in SPEC.asked]
    assert [f["name"] for f in embedded()["fields"]] == [f.name for f in SPEC.asked]


def test_no_label_repeats_the_unit_that_stands_beside_it():
    for field in (*SPEC.fields.values(), *SPEC.derived.values()):
        assert not set((field.unit or "").lower().split()) & set(field.label.lower().split()), field.label


def test_every_regimen_can_be_ticked_and_planned():
    rows = re.findall(r'data-backbone="(\w+)"(.*?)</fieldset>', PAGE, re.S)
    ticked = {(b, a) for b, inside in rows for a in re.findall(r'data-biologic="(\w+)"', inside)}
    assert ticked == {r.key for r in SPEC.regimens.all()}
    planned = re.search(r'id="planned".*?</select>', PAGE, re.S)[0]
    assert {tuple(v.split()) for v in re.findall(r'value="(\w+ \w+)"', planned)} == ticked


def test_a_handful_of_regimens_is_ticked_at_first():
    assert 2 <= len(re.findall(r"data-biologic=\"\w+\" checked", PAGE)) <= 5


def test_the_planned_cycles_are_bounded_by_forty_eight_weeks():
    for backbone in SPEC.regimens.backbones:
        row = re.search(rf'data-backbone="{backbone.name}".*?</fieldset>', PAGE, re.S)[0]
        assert f'max="{48 // backbone.cycle_weeks}"' in row
        assert f'value="{12 // backbone.cycle_weeks}"' in row


def test_nothing_runs_or_is_styled_inline():
    scripts = [a for tag, a in ELEMENTS.found if tag == "script"]
    assert all("src" in a or a.get("type") == "application/json" for a in scripts)
    assert not [tag for tag, _ in ELEMENTS.found if tag == "style"]
    assert not [name for _, a in ELEMENTS.found for name in a if name == "style" or name.startswith("on")]


def test_nothing_is_loaded_from_elsewhere():
    addresses = [a[name] for _, a in ELEMENTS.found for name in ("src", "href", "action") if a.get(name)]
    assert all(address.startswith(("static/", "#")) for address in addresses)
    for asset in FILES:
        outside = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", asset.read_text("utf-8"))
        assert [o for o in outside if "www.w3.org" not in o] == [], asset.name


def test_what_the_page_loads_is_there():
    loaded = [a[n] for _, a in ELEMENTS.found for n in ("src", "href") if (a.get(n) or "").startswith("static/")]
    imported = [m for s in SCRIPTS for m in re.findall(r'from "\./(.*?)"', s.read_text("utf-8"))]
    assert {*(Path(p).name for p in loaded), *imported} <= {f.name for f in FILES}


def test_every_script_is_fetched_at_once():
    preloaded = [a["href"] for tag, a in ELEMENTS.found if tag == "link" and a.get("rel") == "modulepreload"]
    assert preloaded == [f"static/{script.name}" for script in SCRIPTS]


def names() -> set[str]:
    parts = [*SPEC.fields, *SPEC.derived, *SPEC.outcomes.names, *(r.code for r in SPEC.flags.rules)]
    parts += [p.name for p in (*SPEC.regimens.backbones, *SPEC.regimens.biologics) if p.drugs]
    return set(parts)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.name)
def test_no_script_names_a_field_an_outcome_a_regimen_or_a_flag(script):
    words = set(re.findall(r"[A-Za-z][A-Za-z0-9_]*", re.sub(r"//.*|/\*.*?\*/", "", script.read_text("utf-8"))))
    assert words & (names() - {"planned_cycles"}) == set()


def test_the_names_that_the_scan_looks_for_would_be_found():
    assert {"age_years", "conversion_12m", "folfox", "LOW_FLR"} <= names()


@pytest.mark.parametrize(
    "text", [TEXT, *(s.read_text("utf-8") for s in SCRIPTS)], ids=["page", *(s.name for s in SCRIPTS)]
)
def test_no_word_promises_more_than_an_estimate(text):
    assert re.findall(r"\b(recommend\w*|optimal|safe|safest|best|benefits?|cures?|will)\b", text, re.I) == []


@pytest.mark.parametrize(
    "line",
    [
        "For use by oncology/HPB MDT members, as one input to discussion",
        "Not for patients alone, not for emergencies, not for prescribing.",
        "A higher chance of surgery has not always meant longer survival",
        "unrecorded reasons can bias them",
        "Must not be used for care until locally validated and approved.",
        "Not modelled",
    ],
)
def test_the_lines_that_must_be_carried_are_there(line):
    assert line in TEXT


def test_only_what_is_required_is_asked_for():
    assert [a["name"] for _, a in ELEMENTS.found if "required" in a] == [f.name for f in SPEC.asked if f.required]


@pytest.mark.parametrize(
    ("kind", "simulated", "title"),
    [
        ("evidence", False, "Published evidence alone"),
        ("simulated", True, "Simulated patients"),
        ("registry", True, "Simulated patients"),
        ("registry", False, "Patients of a registry"),
    ],
)
def test_the_banner_says_what_the_numbers_rest_on(kind, simulated, title):
    card = {**CARD, "simulated": simulated, "trained_on": {"kind": kind, "text": "A text", "patients": 9}}
    assert f'<span id="basis-title">{title}</span>' in render_page(SPEC, card)


def test_evidence_is_told_from_the_data_of_single_patients():
    text = page_text().bases["evidence"].text
    assert "without any individual patient's data" in text and "the data of any real patient" not in text


def test_a_model_card_cannot_become_markup():
    page = render_page(SPEC, {**CARD, "name": "<script>alert(1)</script>"})
    assert "<script>alert" not in page


def test_what_is_embedded_cannot_end_its_script():
    parts = read_parts()
    parts["fields"][5]["label"] = "</script><script>alert(1)</script>"
    assert "</script><script>alert" not in render_page(Specification(parts), CARD)


def test_the_states_have_words_in_the_order_in_which_they_are_drawn():
    assert set(page_text().states) == set(STATES)
    assert list(embedded()["text"]["states"]) == list(page_text().states)


def test_every_state_has_a_figure_of_its_own():
    figures = [a["id"] for tag, a in ELEMENTS.found if tag == "symbol" and a["id"].startswith("person-")]
    assert sorted(figures) == sorted(f"person-{state.replace('_', '-')}" for state in STATES)


def test_what_is_not_modelled_is_told_once_and_shown_twice():
    assert page_text().not_modelled.strip() in TEXT
    assert embedded()["text"]["not_modelled"] == page_text().not_modelled


def test_a_group_without_a_heading_is_named():
    parts = read_parts()
    next(f for f in parts["fields"] if f["name"] == "age_years")["group"] = "elsewhere"
    with pytest.raises(PageTextError, match="groups: no heading for elsewhere"):
        render_page(Specification(parts), CARD)


def test_a_regimen_that_is_shown_at_first_must_be_in_the_catalogue():
    text = page_text()
    stray = text.model_copy(update={"shown": (text.shown[0].model_copy(update={"backbone": "folfix"}),)})
    assert stray.complaints(SPEC)[0].startswith("shown: folfix with none: unknown backbone; allowed is one of")


def test_every_control_has_a_name_for_a_screen_reader():
    labelled = {a["for"] for tag, a in ELEMENTS.found if tag == "label" and "for" in a}
    open_labels, unnamed = 0, []
    for tag, attributes in ELEMENTS.found:
        if tag == "label" and "for" not in attributes:
            open_labels += 1
        elif tag in ("input", "select") and not (attributes.get("id") in labelled or open_labels):
            unnamed.append(attributes)
    assert unnamed == []


def test_ids_are_used_once():
    ids = [a["id"] for _, a in ELEMENTS.found if "id" in a]
    assert len(set(ids)) == len(ids)
