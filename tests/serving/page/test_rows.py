"""The regimens in rows: their order, their numbers, their flags, and when they no longer hold."""

import re

import pytest
from playwright.sync_api import expect

from tests.serving.page.canned import SPEC, estimate, untick_all_but


def test_the_planned_regimen_comes_first_and_the_others_by_the_alphabet(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    untick_all_but(page, "FOLFOX", "CAPOX", "FOLFIRI + cetuximab")
    page.select_option("#planned", label="FOLFOXIRI + bevacizumab")
    estimate(page)
    shown = page.locator("tbody.regimen .label").all_inner_texts()
    assert shown == ["FOLFOXIRI + bevacizumab", "CAPOX", "FOLFIRI + cetuximab", "FOLFOX"]
    expect(page.locator("tbody.regimen .tag")).to_have_text(["Planned"])


def test_cycles_are_sent_and_shown_in_weeks(visit, served):
    page = visit()
    page.fill("#f-age_years", "54")
    untick_all_but(page, "CAPOX")
    row = page.locator("fieldset[data-backbone=capox]")
    row.locator("input[type=number]").fill("8")
    row.locator("input[type=number]").blur()
    expect(row.locator("output")).to_have_text("24 weeks")
    estimate(page)
    assert served.scorer.asked[0]["regimens"][0]["planned_cycles"] == 8
    expect(page.locator("tbody.regimen .plan")).to_have_text("8 cycles, 24 weeks")


def test_numbers_are_whole_and_add_up_in_bars_and_words(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    untick_all_but(page, "FOLFOX")
    estimate(page)
    row = page.locator("tbody.regimen")
    expect(row.locator(".large")).to_have_text("38%")
    expect(row.locator("p.range")).to_have_text("plausible range 26–49%")
    assert [int(n) for n in row.locator(".course strong").all_inner_texts()] == [31, 11, 58]
    expect(row.locator(".risks .risk", has_text=SPEC.outcomes.outcomes[-1].label).locator("strong")).to_have_text("<1%")
    assert row.locator(".sentence").inner_text() == (
        "Of 100 patients like this started on FOLFOX, about 38 (26–49) have all liver disease removed within 12 "
        "months; of the about 42 who have liver surgery, about 11 (8–13) have a major complication; about 58 (46–70) "
        "are not operated on."
    )
    assert not re.search(r"\d\.\d", row.inner_text())


def test_flags_stand_above_numbers_with_icon_word_and_source(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    untick_all_but(page, "FOLFOX", "FOLFOX + panitumumab")
    estimate(page)
    barred = page.locator("tbody.regimen", has_text="panitumumab").locator("li.flag.contraindicated").first
    expect(barred.locator("svg.icon")).to_be_visible()
    expect(barred.locator("strong")).to_have_text("Contraindicated")
    expect(barred.locator(".source")).to_be_hidden()
    barred.locator("summary").click()
    expect(barred.locator(".source")).to_have_text("Source: A label")
    numbers = page.locator("tbody.regimen", has_text="panitumumab").locator(".large")
    assert barred.bounding_box()["y"] < numbers.bounding_box()["y"]
    shared = page.locator("section.shared")
    expect(shared).to_contain_text("For all.")
    expect(shared.locator("details.unsettled > summary")).to_contain_text("1 check is open: an input is missing")
    expect(page.locator("tbody.regimen", has_text="For all.")).to_have_count(0)


def test_what_was_assumed_is_listed_and_leads_to_its_field(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    estimate(page)
    assumed = page.locator("details.assumed")
    expect(assumed.locator("summary")).to_have_text("3 inputs were not known; this was assumed")
    assumed.locator("summary").click()
    expect(assumed.locator("dd").first).to_have_text("60% this, 40% that")
    assumed.locator("a").first.click()
    page.wait_for_function("document.activeElement.id === 'f-sex'")


def test_an_answer_goes_stale_when_an_input_changes(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    estimate(page)
    page.fill("#f-age_years", "64")
    page.keyboard.press("Tab")
    expect(page.locator("#answer .changed")).to_have_text("The inputs were changed since. Press Estimate again.")
    estimate(page)
    expect(page.locator("#answer .changed")).to_have_count(0)


def test_the_banner_follows_the_model_that_answered(visit, served):
    served.scorer.simulated = True
    page = visit()
    page.fill("#f-age_years", "54")
    expect(page.locator("#basis")).to_contain_text("Published evidence alone")
    estimate(page)
    expect(page.locator("#basis")).to_contain_text("Trained on simulated patients")


@pytest.mark.parametrize("card", [True, False])
def test_the_footer_follows_the_model_that_answered(visit, served, card):
    later = {**served.scorer.model, "version": "4", "learner": "xgboost", "flags_version": 9, "spec_digest": "f" * 64}
    later["trained_on"] = {**later["trained_on"], "kind": "registry", "text": "Patients of one hospital."}
    page = visit()
    facts = page.locator("footer dl")
    expect(facts).to_contain_text("resecta, 3")

    def predict(route):
        route.fulfill(json={**route.fetch().json(), "model": later})

    def model(route):
        told = {"json": {**served.scorer.model_card, **later, "created": "2026-05-06"}}
        route.fulfill(**told if card else {"status": 503, "json": {"errors": []}})

    page.route("**/predict", predict)
    page.route("**/model", model)
    page.fill("#f-age_years", "54")
    estimate(page)
    for shown in ("resecta, 4", "xgboost", "Patients of one hospital.", "ffffffffffff", "version 9"):
        expect(facts).to_contain_text(shown)
    expect(facts).not_to_contain_text(served.scorer.model_card["created"])
    made = facts.locator("div", has_text="Made")
    expect(made).to_be_visible(visible=card)
    expect(page.locator("#basis")).to_contain_text("Patients of a registry")


def test_ranges_are_drawn_to_the_scale_of_the_stacked_bar(answered):
    page = answered("FOLFOX")
    row = page.locator("tbody.regimen")
    states = [float(part.get_attribute("width")) for part in row.locator("svg.states rect").all()]
    assert states == pytest.approx([31.5, 10.5, 58.0])
    bands = row.locator(".course .span rect.range").all()
    assert [float(band.get_attribute("x")) for band in bands] == pytest.approx([0.8 * state for state in states])
    assert [float(band.get_attribute("width")) for band in bands] == pytest.approx([0.4 * state for state in states])
    bar, span = row.locator("svg.states").bounding_box(), row.locator(".course svg").first.bounding_box()
    assert (bar["x"], bar["width"]) == pytest.approx((span["x"], span["width"]), abs=1)


def test_every_course_has_its_range_in_words(answered):
    courses = answered("FOLFOX").locator("tbody.regimen .course .span")
    assert [" ".join(text.split()) for text in courses.all_inner_texts()] == [
        "Operated, no major complication 31 plausible range 25–38",
        "Operated, with a major complication 11 plausible range 8–13",
        "Not operated within 12 months 58 plausible range 46–70",
    ]


def test_the_average_patient_is_marked_told_and_explained(answered):
    page = answered("FOLFOX", "CAPOX")
    row = page.locator("tbody.regimen").first
    expect(row.locator(".average")).to_have_text("average patient 30%")
    bar, mark = row.locator(".against .interval").bounding_box(), row.locator(".pointed path").bounding_box()
    assert mark["x"] + mark["width"] / 2 == pytest.approx(bar["x"] + 0.3 * bar["width"], abs=1)
    expect(page.locator(".legend")).to_contain_text("a patient of whom nothing is known, averaged over the patients of")


def test_the_average_patient_is_told_only_of_a_plan_that_is_as_long(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    untick_all_but(page, "FOLFOX", "CAPOX")
    page.fill("[data-backbone=capox] input[type=number]", "6")
    estimate(page)
    expect(page.locator("tbody.regimen", has_text="CAPOX").locator(".average, .pointed")).to_have_count(0)
    expect(page.locator("tbody.regimen", has_text="FOLFOX").locator(".average")).to_have_count(1)
    expect(page.locator(".legend")).to_contain_text("It is told for 12 planned weeks only.")


def test_the_average_patient_of_another_version_is_not_shown(answered):
    page = answered("FOLFOX", known={"version": "4"})
    expect(page.locator("tbody.regimen .large")).to_have_text("38%")
    expect(page.locator(".average, .pointed")).to_have_count(0)
    expect(page.locator(".legend")).not_to_contain_text("triangle")


def test_every_outcome_that_is_answered_is_defined(answered):
    more = answered("FOLFOX").locator("details.more")
    more.locator("summary").click()
    for outcome in SPEC.outcomes.outcomes:
        expect(more).to_contain_text(f"{outcome.definition}. {outcome.window}.")
        expect(more).to_contain_text(outcome.label)


def test_what_it_would_help_most_to_know_is_said_and_leads_to_the_field(answered, served):
    page = answered("FOLFOX", "CAPOX")
    field = SPEC.asked[8]
    most = page.locator(".missing")
    expect(most).to_contain_text(f"Knowing more would change most: {field.label} (20–55%)")
    expect(most).to_contain_text(
        "In brackets: what 38% would mostly become, for all liver disease removed under CAPOX."
    )
    assert most.bounding_box()["y"] < page.locator("table.regimens").bounding_box()["y"]
    most.get_by_role("link", name=field.label).click()
    page.wait_for_function(f"document.activeElement.id === 'f-{field.name}'")
    assert {e["regimen"]["backbone"] for e in served.scorer.explained} == {"capox"}


def test_estimates_stand_when_nothing_explains_them(visit):
    page = visit()
    page.route("**/explain", lambda route: route.fulfill(status=404, body="{}", content_type="application/json"))
    page.fill("#f-age_years", "54")
    estimate(page)
    expect(page.locator("tbody.regimen")).to_have_count(5)
    expect(page.locator(".missing")).to_be_hidden()
    page.click("#tab-why")
    expect(page.locator("#panel-why .note")).to_contain_text("No explanation was answered.")
