"""The views beside the rows: a hundred figures, two regimens, the trade-off, why, and the sources."""

import re

import pytest
from playwright.sync_api import expect

from tests.serving.page.canned import OPEN_ALL, PREDICTION, SPEC, VIEWS

PRIMARY = next(o for o in SPEC.outcomes.outcomes if o.part is not None and o.part.value == "primary")


def test_views_open_one_at_a_time_by_click_and_by_arrow(answered):
    page = answered("FOLFOX", "CAPOX")
    assert [t.get_attribute("id") for t in page.get_by_role("tab").all()] == [f"tab-{view}" for view in VIEWS]
    for view in VIEWS:
        page.click(f"#tab-{view}")
        assert [p.get_attribute("id") for p in page.locator(".panel:visible").all()] == [f"panel-{view}"]
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-rows")).to_be_focused()
    expect(page.locator("#panel-rows")).to_be_visible()
    page.keyboard.press("End")
    expect(page.locator("#tab-sources")).to_have_attribute("aria-selected", "true")


def test_choosing_within_a_view_leaves_the_answer_as_it_is(answered):
    page = answered("FOLFOX", "CAPOX", view="people")
    page.select_option("#people-first", "1")
    expect(page.locator("#answer .changed")).to_have_count(0)


def test_a_hundred_figures_stand_for_a_hundred_patients(answered):
    page = answered("FOLFOX", view="people")
    array = page.locator("svg.array")
    shown = [use.get_attribute("data-state") for use in array.locator("use").all()]
    assert [len(list(filter(lambda s: s == state, shown))) for state in dict.fromkeys(shown)] == [31, 11, 58]
    expect(array).to_have_attribute(
        "aria-label",
        "FOLFOX: 31 operated, no major complication, 11 operated, with a major complication, "
        "58 not operated within 12 months, of 100.",
    )
    assert [" ".join(text.split()) for text in page.locator(".hundred .key li").all_inner_texts()] == [
        "31 operated, no major complication plausible range (25–38)",
        "11 operated, with a major complication plausible range (8–13)",
        "58 not operated within 12 months plausible range (46–70)",
        "Liver surgery: 42 plausible range (29–55) of them all liver disease removed: 38 plausible range (26–49)",
    ]
    expect(page.locator(".hundred .sentence")).to_contain_text("Of 100 patients like this started on FOLFOX, about 38")
    shapes = {use.get_attribute("href") for use in array.locator("use").all()}
    assert len(shapes) == 3 and all(page.locator(f"symbol{shape}").count() == 1 for shape in shapes)


def test_two_arrays_stand_beside_each_other_with_the_flags_that_bar(answered):
    page = answered("FOLFOX", "FOLFOX + panitumumab", view="people")
    page.select_option("#people-second", label="FOLFOX + panitumumab")
    expect(page.locator("svg.array")).to_have_count(2)
    expect(page.locator(".hundred").nth(1).locator("li.flag.contraindicated strong")).to_have_text("Contraindicated")
    expect(page.locator(".hundred").first.locator("li.flag")).to_have_count(0)


def test_a_row_leads_to_its_own_hundred_and_its_own_why(answered, served):
    page = answered("CAPOX", "FOLFOX")
    page.get_by_role("button", name="As 100 patients for FOLFOX").click()
    expect(page.locator(".hundred figcaption")).to_contain_text("FOLFOX")
    page.click("#tab-rows")
    page.get_by_role("button", name="Why for FOLFOX").click()
    expect(page.locator("#panel-why h4").first).to_have_text("All liver disease removed, under FOLFOX")
    assert served.scorer.explained[-1]["regimen"]["backbone"] == "folfox"


def test_two_regimens_are_compared_by_the_range_of_their_difference(answered, served):
    page = answered("FOLFOX", "CAPOX", view="pair")
    row = page.locator("table.pair tbody tr", has=page.get_by_role("rowheader", name=PRIMARY.label, exact=True))
    expect(row.get_by_role("cell")).to_have_text(["38%", "38%", "+3", "−8 to +14", "no reliable difference"])
    expect(page.locator(".headline")).to_have_text(
        "All liver disease removed within 12 months: no reliable difference between CAPOX and FOLFOX."
    )
    lower = page.locator("table.pair tbody tr", has_text="Not operated within 12 months")
    expect(lower.get_by_role("cell").nth(3)).to_have_text("−10 to −<1")
    expect(lower.get_by_role("cell").last).to_have_text("lower; the whole 90% range lies below zero")
    assert page.locator("table.pair", has_text="if resected").count() == 0
    assert [r["backbone"] for r in served.scorer.compared[0]["regimens"]] == ["capox", "folfox"]
    page.select_option("#pair-first", label="FOLFOX")
    expect(page.locator("#panel-pair .note")).to_have_text("Choose two different regimens.")
    page.select_option("#pair-second", label="CAPOX")
    expect(page.locator(".headline")).to_contain_text("between FOLFOX and CAPOX")
    assert len(served.scorer.compared) == 2


def test_flags_and_support_of_both_stand_above_their_difference(answered, served):
    page = answered("FOLFOX", "FOLFOX + panitumumab", view="pair")
    first, second = page.locator(".side").all()
    expect(first.get_by_role("heading")).to_have_text("First: FOLFOX")
    expect(first.locator("li.flag")).to_have_count(0)  # what concerns every regimen is said above them all
    expect(second.locator("li.flag.contraindicated strong")).to_have_text("Contraindicated")
    expect(second.locator("li.flag.contraindicated svg.icon")).to_have_count(1)
    expect(second).to_contain_text("Support: Published evidence alone.")
    assert page.evaluate(
        "document.querySelector('.sides').compareDocumentPosition(document.querySelector('.headline')) & 4"
    )
    assert served.scorer.compared[0]["profile"] == "eu"


def test_a_range_that_leaves_out_zero_is_told_as_such_and_as_no_proof(answered):
    page = answered("FOLFOX", "CAPOX", view="pair")

    def higher(route):
        answer = route.fetch().json()
        words = "higher; the whole 90% range lies above zero"
        told = {"difference": 0.2, "low": 0.01, "high": 0.45, "words": words}
        answer["differences"][PRIMARY.name] = told
        route.fulfill(json=answer)

    page.route("**/compare", higher)
    page.select_option("#pair-first", label="FOLFOX")
    page.select_option("#pair-second", label="CAPOX")
    expect(page.locator(".headline")).to_have_text(
        "All liver disease removed within 12 months: higher under FOLFOX than under CAPOX; "
        "the whole 90% range lies above zero."
    )
    expect(page.locator("#panel-pair .explained").first).to_contain_text("no proof that they differ")


def test_one_regimen_alone_cannot_be_compared(answered, served):
    page = answered("FOLFOX", view="pair")
    expect(page.locator("#panel-pair .note")).to_have_text("Tick a second regimen and press Estimate again.")
    assert served.scorer.compared == []


def test_the_trade_off_shows_every_regimen_as_dot_and_as_row(answered, served):
    page = answered("FOLFOX", "FOLFIRI + panitumumab", view="tradeoff")
    every = len(SPEC.regimens.all())
    expect(page.locator("table.twin tbody tr")).to_have_count(every)
    expect(page.locator("svg.scatter .dot")).to_have_count(every)
    expect(page.locator("svg.scatter .dot.chosen")).to_have_count(2)
    expect(page.locator("svg.scatter .cross")).to_have_count(2)
    rows = page.locator("table.twin tbody tr")
    barred = [r.key for r in SPEC.regimens.all() if r.biologic == "panitumumab"]
    expect(rows.filter(has_text="Yes")).to_have_count(len(barred))
    expect(page.locator("svg.scatter .dot.barred")).to_have_count(len(barred))
    assert rows.first.get_by_role("cell").all_inner_texts()[:3] == ["1", "38 (26–49)", "11 (8–13)"]
    page.check("#tradeoff-every")
    expect(page.locator("svg.scatter .cross")).to_have_count(every)
    page.uncheck("#tradeoff-ranges")
    expect(page.locator("svg.scatter .cross")).to_have_count(0)
    assert [len(a["regimens"]) for a in served.scorer.asked] == [2, every]


def test_the_trade_off_counts_complications_among_all_who_start(answered):
    page = answered("FOLFOX", view="tradeoff")
    expect(page.locator("#panel-tradeoff .explained").first).to_contain_text("counted among all who start")
    # 0.42 operated, a quarter of them with a major complication: not 25.
    expect(page.locator("table.twin tbody tr").first.get_by_role("cell").nth(2)).to_contain_text("11 (")


def test_why_is_told_in_points_that_add_up_and_is_no_cause(answered, served):
    page = answered("FOLFOX", view="why")
    panel = page.locator("#panel-why")
    expect(panel).to_contain_text("Association, not cause")
    drivers = panel.locator(".drivers").first.locator(".driver")
    expect(drivers).to_contain_text(
        ["A patient of whom nothing is known", "Age 54 years", "Platelets 180 10⁹/L", "Albumin 39 g/L", "This patient"]
    )
    expect(drivers.locator(".points strong")).to_have_text(["30%", "+12", "−4", "−<1", "38%"])
    widths = [float(bar.get_attribute("width")) for bar in drivers.locator("rect.more, rect.less").all()]
    assert widths[:2] == pytest.approx([50, 50 * 0.037 / 0.12])
    page.select_option("#why-outcome", label="Major complication, if resected")
    expect(panel.locator("h4").first).to_have_text("Major complication, if resected, under FOLFOX")
    assert served.scorer.explained[-1]["outcome"] == "major_complication"


def test_what_is_not_known_is_listed_by_what_it_could_change(answered):
    page = answered("FOLFOX", view="why")
    unknown = page.locator("#panel-why .drivers").nth(1)
    expect(page.locator("#panel-why")).to_contain_text("Between which values the estimate would mostly lie")
    expect(unknown.locator(".what")).to_have_text([SPEC.asked[8].label, SPEC.asked[30].label])
    expect(unknown.locator(".points")).to_have_text(["20–55%", "31–40%"])
    unknown.get_by_role("link").nth(1).click()
    page.wait_for_function(f"document.activeElement.id === 'f-{SPEC.asked[30].name}'")


def test_the_sources_name_model_data_evidence_and_what_is_left_out(answered):
    page = answered("FOLFOX", view="sources")
    panel = page.locator("#panel-sources")
    for shown in (
        "resecta, version 3 (evidence)",
        "Published studies.",
        "1 Jan 2026",
        PREDICTION,
        SPEC.digest[:12],
        "Immunotherapy",
    ):
        expect(panel).to_contain_text(shown)
    expect(panel.get_by_role("link")).to_have_attribute("href", "evidence")
    expect(panel).to_contain_text("There is no calibration plot")


def test_a_calibration_curve_is_drawn_and_told(answered):
    curve = {"predicted": [0.1, 0.5], "observed": [0.12, 0.44], "low": [0.08, 0.4], "high": [0.2, 0.5]}
    known = {"calibration": {"text": "In 900 patients.", "curves": {PRIMARY.name: curve}}}
    page = answered("FOLFOX", view="sources", known=known)
    figure = page.locator("figure.curve")
    told = "All liver disease removed: where 10% was predicted, 12% (8–20%) was observed; where 50%, 44% (40–50%)."
    expect(figure.locator("figcaption")).to_have_text(re.sub(r"\((\d+)–", r"(\1%–", told))
    expect(figure.locator("path.curve")).to_have_count(1)
    expect(page.locator("#panel-sources")).to_contain_text("In 900 patients.")


def test_no_view_shows_a_fraction_of_a_percent(answered):
    page = answered("FOLFOX", "CAPOX")
    for view in VIEWS[:-1]:
        page.click(f"#tab-{view}")
        page.wait_for_timeout(50)
        page.evaluate(OPEN_ALL)
        shown = page.locator(f"#panel-{view}").inner_text().replace("RECIST 1.1", "")
        assert re.findall(r"\d\.\d", shown) == []


def test_a_curve_of_another_version_is_not_shown(answered):
    curve = {"predicted": [0.1, 0.5], "observed": [0.1, 0.5], "low": [0.1, 0.5], "high": [0.1, 0.5]}
    page = answered("FOLFOX", view="sources", known={"version": "4", "calibration": {"curves": {PRIMARY.name: curve}}})
    expect(page.locator("#panel-sources")).to_contain_text("There is no calibration plot")
