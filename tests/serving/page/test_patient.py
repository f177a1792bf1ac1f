"""Entering a patient: every kind of control, questions, and what is wrong."""

import json

from playwright.sync_api import expect

from tests.serving.page.canned import OPEN_ALL, SPEC, estimate


def test_the_age_alone_gives_an_answer(visit, served):
    page = visit()
    page.fill("#f-age_years", "54")
    estimate(page)
    (asked,) = served.scorer.asked
    assert {name for name, value in asked["patient"].items() if value is not None} == {"age_years"}
    expect(page.locator("tbody.regimen")).to_have_count(5)
    expect(page.locator("#status")).to_have_text("Estimates for 5 regimens are shown.")
    assert page.evaluate("document.activeElement.id") == "results"


def test_not_known_stands_in_every_field_that_may_be_left(visit):
    page = visit()
    for field in SPEC.asked:
        place = page.locator(f"[data-field={field.name}]")
        shown = place.locator("input:checked + span, option:checked").all_inner_texts()
        shown += [box.get_attribute("placeholder") for box in place.locator("input.box").all()]
        assert [text for text in shown if text] == ([] if field.required else [shown[0]]), field.name
        assert field.required or shown[0] in ("Not known", "Not entered"), field.name


def test_buttons_of_one_choice_stand_beside_each_other_on_a_phone(visit):
    page = visit(width=320)
    page.evaluate(OPEN_ALL)
    for row in page.locator(".buttons").all():
        assert len({round(label.bounding_box()["y"]) for label in row.locator("label").all()}) == 1


def test_every_kind_of_control_sends_its_value_as_json(visit, served):
    page = visit()
    page.fill("#f-age_years", "54")
    page.fill("#f-albumin_g_l", "41.5")
    page.select_option("#f-ras_status", label="Mutant")
    page.check("#f-bilobar input[value=true]", force=True)
    page.check("#f-ecog_ps input[value='0']", force=True)
    page.check("[name=n_liver_metastases][data-special]")
    for site in ("Lung", "Bone"):
        page.locator("#f-extrahepatic_disease").get_by_label(site).check(force=True)
    page.select_option("#profile", "uk")
    estimate(page)
    (asked,) = served.scorer.asked
    assert {name: value for name, value in asked["patient"].items() if value is not None} == {
        "age_years": 54,
        "albumin_g_l": 41.5,
        "ras_status": "mutant",
        "bilobar": True,
        "ecog_ps": 0,
        "n_liver_metastases": 99,
        "extrahepatic_disease": ["lung", "bone"],
    }
    assert asked["profile"] == "uk"
    page.locator("details.entered summary").click()
    entered = page.locator("details.entered dl").inner_text()
    assert all(shown in entered for shown in ("54 years", "41.5 g/L", "Mutant", "Uncountable", "Lung, Bone", "Yes"))


def test_a_choice_that_stands_alone_unticks_the_others(visit):
    page = visit()
    disease = page.locator("#f-extrahepatic_disease")
    disease.get_by_label("Lung").check(force=True)
    expect(disease.get_by_label("Not known")).not_to_be_checked()
    disease.get_by_label("None", exact=True).check(force=True)
    expect(disease.get_by_label("Lung")).not_to_be_checked()
    disease.get_by_label("None", exact=True).uncheck(force=True)
    expect(disease.get_by_label("Not known")).to_be_checked()


def test_a_slip_of_units_is_questioned_and_corrected_by_a_button(visit, served):
    page = visit()
    page.fill("#f-age_years", "54")
    page.fill("#f-albumin_g_l", "4.1")
    page.keyboard.press("Tab")
    note = page.locator("#f-albumin_g_l-note")
    expect(note).to_contain_text("Albumin is below what is possible")
    page.click("#estimate")
    expect(page.locator("#errors")).to_be_visible()
    assert served.scorer.asked == []
    note.get_by_role("button", name="If it is in g/dL: use 41 g/L").click()
    expect(note).to_be_hidden()
    estimate(page)
    assert served.scorer.asked[0]["patient"]["albumin_g_l"] == 41


def test_an_unusual_value_is_questioned_and_still_answered(visit):
    page = visit()
    page.fill("#f-age_years", "99")
    page.keyboard.press("Tab")
    expect(page.locator("#f-age_years-note")).to_contain_text("usually 18 to 95 years; are you sure?")
    estimate(page)
    expect(page.locator(".warnings")).to_contain_text("are you sure?")


def test_a_text_in_a_number_is_not_taken_for_not_known(visit, served):
    page = visit()
    page.fill("#f-age_years", "54")
    page.locator("#f-albumin_g_l").press_sequentially("4-e")
    page.click("#estimate")
    expect(page.locator("#errors a")).to_have_text("Albumin does not fit; allowed is a number from 8 to 70 g/L.")
    assert served.scorer.asked == []


def test_errors_come_together_and_lead_to_their_fields(visit):
    page = visit()
    page.fill("#f-cea_ng_ml", "-3")
    page.click("#none")
    page.click("#estimate")
    errors = page.locator("#errors")
    expect(errors.locator("li")).to_have_text(
        [
            "Age is required; allowed is a whole number from 18 to 110 years.",
            "CEA is below what is possible; allowed is a number from 0.05 to 100000 ng/mL.",
            "Tick at least one regimen.",
        ]
    )
    assert page.evaluate("document.activeElement.id") == "errors"
    errors.locator("a").nth(1).click()
    page.wait_for_function("document.activeElement.id === 'f-cea_ng_ml'")
    expect(page.locator("#f-age_years")).to_have_attribute("aria-invalid", "true")


def test_what_the_service_refuses_is_shown_beside_the_field_in_its_words(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    message = "Albumin is above what is possible; allowed is this and that."
    body = json.dumps({"errors": [{"field": "patient.albumin_g_l", "code": "above_hard_limit", "message": message}]})
    page.route("**/predict", lambda route: route.fulfill(status=422, content_type="application/json", body=body))
    page.locator("details.group", has=page.locator("#f-albumin_g_l")).evaluate("group => group.open = false")
    page.click("#estimate")
    expect(page.locator("#f-albumin_g_l-note")).to_have_text(message)
    expect(page.locator("#f-albumin_g_l-note")).to_be_visible()
    expect(page.locator("#errors")).to_contain_text(message)


def test_a_service_that_is_gone_is_said_to_be_gone(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<html>Bad gateway"))
    page.click("#estimate")
    expect(page.locator("#errors")).to_contain_text("The service did not answer")


def test_clearing_leaves_no_patient_behind(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    page.check("[name=n_liver_metastases][data-special]")
    estimate(page)
    page.click("#clear")
    expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#f-age_years")).to_have_value("")
    expect(page.locator("#f-n_liver_metastases")).to_be_enabled()
    expect(page.locator("#tally")).to_contain_text("0 of")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.search]") == [
        0,
        0,
        "",
        "",
    ]
