"""The page for everyone: by keyboard, on a phone, to a screen reader, on paper, behind a token."""

import json
import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.serving.page.canned import OPEN_ALL, PREDICTION, VIEWS, Served, estimate

TOKEN = "a-token-for-the-test"


def test_the_keyboard_alone_is_enough(visit, served):
    page = visit()
    page.focus("#f-age_years")
    page.keyboard.type("54")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer:not(.stale) table.regimens")
    known = {name: value for name, value in served.scorer.asked[0]["patient"].items() if value is not None}
    assert known == {"age_years": 54, "sex": "female", "ecog_ps": 0}


def test_the_keyboard_alone_reaches_every_view(answered):
    page = answered("FOLFOX", "CAPOX")
    assert page.evaluate("document.activeElement.id") == "results"
    pressed = 0
    while page.evaluate("document.activeElement.getAttribute('role')") != "tab":
        page.keyboard.press("Tab")
        pressed += 1
        assert pressed < 10
    for view in VIEWS[1:]:
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#tab-{view}")).to_be_focused()
        expect(page.locator(f"#panel-{view}")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#panel-sources")).to_be_focused()


def test_the_page_fits_from_a_phone_to_a_projector(answered):
    page = answered("FOLFOX", "FOLFOXIRI + bevacizumab", "FOLFOX + panitumumab", width=320)
    expect(page.locator("#results-title")).to_be_in_viewport()
    page.evaluate(OPEN_ALL)
    for view in VIEWS:
        page.click(f"#tab-{view}")
        page.wait_for_timeout(100)
        for width in (320, 390, 768, 1099, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (view, width)
        page.set_viewport_size({"width": 320, "height": 900})


@pytest.mark.parametrize("width", [pytest.param(320, marks=pytest.mark.slow), 1440])
def test_axe_finds_nothing_in_any_view(answered, width):
    page = answered("FOLFOX", "FOLFOX + panitumumab", width=width, bypass_csp=True)  # axe is injected
    for view in VIEWS:
        page.click(f"#tab-{view}")
        page.wait_for_timeout(100)
    # One run is as good as six, and takes a sixth of the time.
    page.evaluate("document.querySelectorAll('.panel').forEach((panel) => (panel.hidden = false))")
    page.evaluate(OPEN_ALL)
    expect(page.locator(".panel:visible")).to_have_count(len(VIEWS))
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], [n["target"] for n in v["nodes"]]) for v in found] == []


def test_axe_finds_nothing_in_questions_errors_and_a_stale_answer(visit):
    page = visit(1440, bypass_csp=True)
    page.fill("#f-age_years", "99")
    estimate(page)
    page.fill("#f-height_cm", "1.7")
    page.click("#estimate")
    expect(page.locator("#errors")).to_be_visible()
    page.evaluate(OPEN_ALL)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], [n["target"] for n in v["nodes"]]) for v in found] == []


def test_five_regimens_print_on_one_page_without_the_form(answered):
    page = answered(
        "FOLFOX", "FOLFOX + panitumumab", "CAPOX", "FOLFOXIRI + bevacizumab", "FOLFIRI + cetuximab", view="why"
    )
    page.locator("#panel-why .driver").first.wait_for()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for hidden in ("section.patient", ".tabs", "#panel-tradeoff", "#panel-people"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("tbody.regimen .large")).to_have_count(5)
    expect(page.locator("tbody.regimen .large").first).to_be_visible()
    expect(page.locator("details.entered dd")).to_have_text(["54 years"])
    expect(page.locator("#panel-why")).to_contain_text("Association, not cause")
    for shown in (PREDICTION, "Immunotherapy"):
        expect(page.locator(".provenance")).to_contain_text(shown)
    expect(page.locator(".unmodelled")).to_be_visible()


def test_a_token_is_asked_for_when_the_service_wants_one(browser):
    service = Served(TOKEN)
    try:
        context = browser.new_context(http_credentials={"username": "board", "password": TOKEN})
        page = context.new_page()
        page.goto(service.address)
        refusal = {"errors": [{"field": "authorization", "code": "token_required", "message": "Send the token."}]}
        answered: list[str | None] = []

        def first_refused(route: Any) -> None:
            answered.append(route.request.headers.get("authorization"))
            if len(answered) == 1:
                route.fulfill(status=401, content_type="application/json", body=json.dumps(refusal))
            else:
                route.continue_()

        page.route("**/predict", first_refused)
        page.fill("#f-age_years", "54")
        page.click("#estimate")
        page.fill("#token", TOKEN)
        estimate(page)
        assert answered[-1] == f"Bearer {TOKEN}"
        context.close()
    finally:
        service.stop()
