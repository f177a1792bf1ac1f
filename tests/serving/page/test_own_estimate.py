"""The board's own estimate, entered before the model's is seen."""

import json

import pytest
from playwright.sync_api import expect

from serving.request import request_models
from tests.serving.page.canned import SPEC, untick_all_but

OFFERED = {"features": {"estimates": True}}


@pytest.fixture
def asking(visit):
    """A page that asks for the board's own estimate, and the questions it sends."""
    sent = []

    def go(status=200, planned="FOLFOX"):
        page = visit(known=OFFERED)

        def take(route):
            sent.append(json.loads(route.request.post_data))
            if status == 200:
                # Nothing is recorded behind these tests, and so no estimate is taken.
                route.continue_(post_data=json.dumps({**sent[-1], "estimate": None}))
                return
            refusal = {"errors": [{"field": "patient.age_years", "code": "some_code", "message": "Not written."}]}
            route.fulfill(status=status, content_type="application/json", body=json.dumps(refusal))

        page.route("**/predict", take)
        page.fill("#f-age_years", "54")
        untick_all_but(page, "FOLFOX", "CAPOX")
        if planned:
            page.select_option("#planned", label=planned)
        page.get_by_label("Enter our own estimate first").check()
        page.click("#estimate")
        expect(page.locator("#own-number" if planned else "#own-regimen")).to_be_focused()
        return page, sent

    return go


def test_it_is_not_offered_where_nothing_would_record_it(visit):
    expect(visit().locator("#own")).to_be_hidden()


def test_it_is_offered_and_off_at_first_where_it_is_recorded(visit):
    own = visit(known=OFFERED).get_by_label("Enter our own estimate first")
    expect(own).to_be_visible()
    expect(own).not_to_be_checked()


def test_the_models_estimate_is_seen_only_after_the_boards_own(asking, served):
    page, sent = asking()
    expect(page.locator("table.regimens")).to_have_count(0)
    # The model is not even asked: no answer is on its way that a board could have seen.
    assert sent == [] and served.scorer.asked == []
    expect(page.locator("#answer")).to_contain_text("Of 100 patients like this started on FOLFOX, how many")
    page.keyboard.type("45")
    page.keyboard.press("Enter")
    expect(page.locator(".board")).to_have_text("45% the board's own estimate")
    expect(page.locator("tbody.regimen").first.locator(".board")).to_have_count(1)
    (question,) = sent
    assert question["estimate"] == {
        "regimen": {"backbone": "folfox", "biologic": "none", "planned_cycles": 6},
        "outcome": "conversion_12m",
        "probability": 0.45,
    }
    request_models(SPEC).predict.model_validate_json(json.dumps(question))


def test_where_none_is_planned_the_board_chooses_the_regimen_that_it_judges(asking):
    page, sent = asking(planned=None)
    assert page.locator("#own-regimen option").all_inner_texts() == ["Choose a regimen", "CAPOX", "FOLFOX"]
    page.fill("#own-number", "45")
    page.get_by_role("button", name="Record, then show").click()
    expect(page.locator("#own-note")).to_have_text("Choose the regimen that the estimate is of.")
    assert sent == []
    page.select_option("#own-regimen", label="FOLFOX")
    page.get_by_role("button", name="Record, then show").click()
    rows = page.locator("tbody.regimen")
    expect(rows.first.locator(".board")).to_have_count(0)
    expect(rows.nth(1).locator(".board")).to_have_text("45% the board's own estimate")
    assert sent[0]["estimate"]["regimen"]["backbone"] == "folfox"


def test_the_board_may_pass(asking):
    page, sent = asking()
    page.get_by_role("button", name="Show without").click()
    expect(page.locator("tbody.regimen")).to_have_count(2)
    expect(page.locator(".board")).to_have_count(0)
    assert [question.get("estimate") for question in sent] == [None]


def test_an_estimate_that_is_no_percentage_is_not_sent(asking):
    page, sent = asking()
    page.keyboard.type("450")
    page.get_by_role("button", name="Record, then show").click()
    expect(page.locator("#own-note")).to_have_text("Enter a whole number from 0 to 100.")
    assert sent == []


def test_an_estimate_that_was_not_recorded_is_said_to_be_lost(asking):
    page, _ = asking(503)
    page.keyboard.type("45")
    page.keyboard.press("Enter")
    expect(page.locator("#own-note")).to_have_text("The estimate was not recorded. Not written.")
    expect(page.locator("#own-number")).to_have_value("45")
    expect(page.locator("table.regimens")).to_have_count(0)


def test_what_the_service_finds_wrong_with_the_patient_is_said_beside_the_form(asking):
    page, sent = asking(422)
    page.keyboard.type("45")
    page.keyboard.press("Enter")
    expect(page.locator("#errors")).to_contain_text("Not written.")
    expect(page.locator("table.regimens")).to_have_count(0)
    assert len(sent) == 1
