"""The page tells what was found and no more, in one file."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.training.report.made import NAMES, forest_panel, made_manifest
from training.report import Panel, render
from validation.evaluation import Evaluation

VOID = {"meta", "input", "br", "hr", "img", "link"}


class Seen(HTMLParser):
    """Whether tags are closed in order, every identifier and every address."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.heads = 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self._note(tag, given)

    def handle_startendtag(self, tag, attrs):
        self._note(tag, dict(attrs))

    def _note(self, tag, given):
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [v for k, v in given.items() if k in ("src", "href", "xlink:href", "action") and v]
        if tag == "svg":
            self.pictures.append(given)
        if tag == "th":
            assert given.get("scope") in ("col", "row")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(facts):
    return render(facts)


@pytest.fixture(scope="module")
def text(page):
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_page_is_well_formed_and_every_identifier_is_its_own(page):
    seen = Seen(page)
    assert seen.open == []
    assert len(seen.ids) == len(set(seen.ids))
    assert all(a.startswith("#") for a in seen.addresses)
    assert {a[1:] for a in seen.addresses} <= set(seen.ids)


def test_the_page_fetches_nothing_and_stays_small(page):
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'\s)]+", page)) <= namespaces
    assert len(page.encode()) < 3_000_000


def test_the_same_facts_give_the_same_page(facts, page):
    assert render(facts) == page


def test_every_figure_has_a_twin_in_words(page):
    pictures = [p for p in Seen(page).pictures if p.get("aria-hidden") != "true"]
    assert len(pictures) == 4 + 1 + 1 + 1  # calibration of four outcomes, one decision, differences, one contrast
    for picture in pictures:
        assert picture["role"] == "img"
        assert len(picture["aria-label"]) > 20


def test_simulated_patients_are_said_to_be_no_evidence(facts, page, text):
    assert "Simulated patients are no evidence" in text
    real = render(replace(facts, manifest=made_manifest("registry")))
    assert "Simulated patients" not in real


def test_the_page_says_who_predicts_better_by_how_much_and_where_it_cannot_tell(text):
    assert "Lower log loss than the champion by 0.0040 (0.0010 to 0.0070)" in text
    assert "No reliable difference in log loss from the champion: −0.0010 (−0.0040 to +0.0020)" in text
    assert "Predicts worse than the champion" in text
    assert (
        "Against the champion, by log loss on 4 outcomes: better on 1, worse on 1, no reliable difference on 1, "
        "not comparable on 1." in text
    )


def test_the_page_says_for_whom_the_models_differ(text):
    assert "Liver surgery (Age: 70 and over): higher log loss than the champion by 0.0200 (0.0100 to 0.0300)" in text
    assert "for every 100 events predicted, 130 happened (110 to 150)" in text


def test_a_suppressed_cell_says_so_and_shows_no_count(page, text):
    assert "Microsatellite status: MSI-H – Not shown: fewer than 10 patients" in text


def test_a_figure_that_was_not_computed_gives_its_reason(text):
    assert "Not computed (only 6 events or non-events; 10 are needed)" in text


def test_no_model_or_regimen_is_praised(text):
    assert not re.search(r"\b(best|recommend\w*|safe|safer|safest|causes?|superior|optimal)\b", text, re.IGNORECASE)


def test_row_identifiers_of_the_registry_stay_out_of_the_page(page):
    assert "S01-00054" not in page


def test_words_from_elsewhere_are_escaped(page, text):
    assert "Out of &lt;the&gt; ordinary" in page


def test_gates_that_were_not_passed_come_first(text):
    assert "1 of 2 passed" in text
    assert text.index("not computed: not looked at") < text.index("-0.004 against the champion")


def test_what_was_not_done_is_said_to_be_missing(evaluation, facts):
    bare = replace(
        facts, champion=None, effects=(), quality=None, flow=(), sample_size=(), update=(), verdicts=(), tripod=None
    )
    page = render(bare)
    for words in (
        "There was no champion when this model was trained",
        "No contrast between regimens was estimated",
        "No validation of the registry is on record",
        "The gates were not asked in this job",
    ):
        assert words in page


def test_a_model_compared_with_nobody_claims_nothing(facts, evaluation):
    alone = Evaluation(
        rows=evaluation.rows, patients=evaluation.patients, models=evaluation.models[2:3], differences=()
    )
    page = render(replace(facts, evaluation=alone))
    assert "nothing is said about which predicts better" in page
    assert "Predicts" not in page


def test_a_model_that_was_not_judged_is_refused(facts):
    with pytest.raises(KeyError, match="forest was not judged"):
        render(replace(facts, mine="forest"))


def test_outcomes_come_with_the_headline_ones_first(page, spec):
    labels = [spec.outcomes[n].label for n in NAMES]
    table = page[page.index('id="models"') :]
    assert [table.index(label) for label in labels] == sorted(table.index(label) for label in labels)


def test_a_panel_without_words_for_its_figure_is_refused():
    with pytest.raises(ValueError, match="no `alt`"):
        replace(forest_panel(), alt=" ")


def test_a_panel_with_an_uneven_table_is_refused():
    with pytest.raises(ValueError, match=r"rows \[1\]"):
        Panel("Contrast", head=("a", "b"), rows=(("1", "2"), ("1",)))


def test_two_models_that_answer_alike_are_said_to(facts, evaluation):
    same = tuple(
        d.model_copy(update={"figure": d.figure.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0})})
        for d in evaluation.differences
        if d.against == "champion" and d.group is None
    )
    page = render(replace(facts, evaluation=evaluation.model_copy(update={"differences": same})))
    assert "Answers as the champion does" in page
    assert "the same answers on 4" in page
    assert "No reliable difference" not in page
