"""The page as a board uses it: the real gate, routes and request models, around answers that are known by heart."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from features import Part, load_specification
from serving.application import Application
from serving.gate import Gate
from serving.logs import Form
from serving.measures import Measures
from serving.page import render_page
from serving.request import request_models
from serving.response import response_models
from serving.routes import Routes
from serving.settings import Settings
from training.bundle import STATES

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SPEC = load_specification()
TOKEN = "a-token-for-the-test"
OPEN_ALL = "document.querySelectorAll('details').forEach((part) => (part.open = true))"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]


class CannedScorer:
    """Answers every regimen with the same numbers; flags follow the specification's own first entries."""

    model: ClassVar[dict[str, Any]] = {
        "name": "resecta",
        "version": "3",
        "learner": "evidence",
        "trained_on": {"kind": "evidence", "text": "Published studies.", "patients": 0, "data_digest": "0" * 64},
        "simulated": False,
        "spec_digest": SPEC.digest,
        "flags_version": SPEC.flags.version,
        "flags_digest": SPEC.flags_digest,
    }
    model_card: ClassVar[dict[str, Any]] = {**model, "created": "2026-01-01"}
    specification_document: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.simulated = False

    def answer(self, request: Any) -> dict[str, Any]:
        self.asked.append(request)
        regimens = [
            SPEC.regimens.regimen(r["backbone"], r["biologic"], r["planned_cycles"]) for r in request["regimens"]
        ]
        missing = [f for f in SPEC.asked if request["patient"][f.name] is None][:3]
        unusual = [q for f in SPEC.asked if (q := f.unusual(request["patient"][f.name]))]
        return {
            "prediction_id": "0d9c8a4e-8f5e-4c3b-9a57-5f1f4c7f6f10",
            "model": {**self.model, "simulated": self.simulated},
            "warnings": [
                {"code": "LOW_SUPPORT", "severity": "warning", "field": None, "text": "No real patients stand behind."},
                *(
                    {"code": "OUT_OF_RANGE", "severity": "warning", "field": q.field, "text": q.message}
                    for q in unusual
                ),
            ],
            "assumed": [{"field": f.name, "label": f.label, "assumed": "60% this, 40% that"} for f in missing],
            "regimens": [self._regimen(r) for r in regimens],
        }

    def _regimen(self, regimen: Any) -> dict[str, Any]:
        tree = SPEC.outcomes
        conditional: dict[str, Any] = {o.name: 0.5 for o in tree.outcomes}
        conditional |= {tree.part(Part.RESECTION).name: 0.42, tree.part(Part.PRIMARY).name: 0.9}
        conditional |= {tree.outcomes[-1].name: 0.004}
        estimates: dict[str, Any] = tree.product(conditional)
        resected = 0.42
        major = resected * estimates[tree.part(Part.COMPLICATION).name]
        states = (1 - resected, resected - major, major)
        flags = [
            {"code": "EVERYWHERE", "severity": "info", "status": "present", "text": "For all.", "source": "A"},
            {"code": "OPEN", "severity": "warning", "status": "unknown", "text": "If known.", "source": "B"},
        ]
        if regimen.biologic == "panitumumab":
            flags.insert(
                0,
                {
                    "code": "BARRED",
                    "severity": "contraindicated",
                    "status": "present",
                    "text": "Not this one.",
                    "source": "A label",
                },
            )
        return {
            "backbone": regimen.backbone,
            "biologic": regimen.biologic,
            "planned_cycles": regimen.planned_cycles,
            "planned_weeks": regimen.planned_weeks,
            "label": regimen.label,
            "outcomes": {
                name: {
                    "probability": p,
                    "low": 0.7 * p,
                    "high": min(1.0, 1.3 * p),
                    **({"given": tree[name].given} if tree[name].given else {}),
                }
                for name, p in estimates.items()
            },
            "states": dict(zip(STATES, states, strict=True)),
            "support": {"level": "none", "effective_patients": 0, "text": "Published evidence alone."},
            "flags": flags,
        }


class Served:
    """The service in a thread, on a free port."""

    def __init__(self, token: str | None = None) -> None:
        self.scorer = CannedScorer()
        application = Application(
            request_models(SPEC),
            self.scorer,
            render_page(SPEC, self.scorer.model_card),
            response_models(SPEC),
            refusals=(),
        )
        routes = Routes(Measures(), application)
        gate = Gate(_behind, routes, routes.measures, Settings(token=token, store=Path("/nowhere"), log=Form.OFF))
        config = uvicorn.Config(gate, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(5)


async def _behind(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nothing reaches what stands behind the gate")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    service = Served()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Open the page; a message in the console, a script's error or a request elsewhere fails the test."""
    faults: list[str] = []
    contexts = []

    def go(width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if "Failed to load resource" not in m.text else None)
        page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(served.address) else None)
        page.goto(served.address)
        return page

    served.scorer.asked.clear()
    served.scorer.simulated = False
    yield go
    for context in contexts:
        context.close()
    assert faults == []


def estimate(page: Page) -> None:
    page.click("#estimate")
    page.wait_for_selector("#answer:not(.stale) table.regimens")


def untick_all_but(page: Page, *labels: str) -> None:
    page.click("#none")
    for label in labels:
        backbone, _, biologic = label.partition(" + ")
        row = page.locator("fieldset.backbone", has=page.locator("legend", has_text=re.compile(f"^{backbone}$")))
        row.get_by_label(f"+ {biologic}" if biologic else "no biologic").check(force=True)


def test_the_age_alone_gives_an_answer(visit, served):
    page = visit()
    page.fill("#f-age_years", "54")
    estimate(page)
    (asked,) = served.scorer.asked
    assert {name for name, value in asked["patient"].items() if value is not None} == {"age_years"}
    expect(page.locator("tbody.regimen")).to_have_count(5)
    expect(page.locator("#status")).to_have_text("Estimates for 5 regimens are shown.")
    assert page.evaluate("document.activeElement.id") == "results"


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
        "months; of the about 42 who have liver surgery, about 11 have a major complication; about 58 are not "
        "operated on."
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


def test_an_answer_goes_stale_when_an_input_changes(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    estimate(page)
    page.fill("#f-age_years", "64")
    page.keyboard.press("Tab")
    expect(page.locator("#answer .changed")).to_have_text("The inputs were changed since. Press Estimate again.")
    estimate(page)
    expect(page.locator("#answer .changed")).to_have_count(0)


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


def test_the_banner_follows_the_model_that_answered(visit, served):
    served.scorer.simulated = True
    page = visit()
    page.fill("#f-age_years", "54")
    expect(page.locator("#basis")).to_contain_text("Published evidence alone")
    estimate(page)
    expect(page.locator("#basis")).to_contain_text("Trained on simulated patients")


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


def test_the_page_fits_from_a_phone_to_a_projector(visit):
    page = visit(320)
    page.fill("#f-age_years", "54")
    estimate(page)
    expect(page.locator("#results-title")).to_be_in_viewport()
    page.evaluate(OPEN_ALL)
    for width in (320, 390, 768, 1099, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [pytest.param(320, marks=pytest.mark.slow), 1440])
def test_axe_finds_nothing(visit, width):
    page = visit(width, bypass_csp=True)  # axe is injected, which the page's own policy forbids
    page.fill("#f-age_years", "99")
    estimate(page)
    # A question, an error beside its field, the summary of errors, and an answer that went stale, all in sight.
    page.fill("#f-height_cm", "1.7")
    page.click("#estimate")
    expect(page.locator("#errors")).to_be_visible()
    page.evaluate(OPEN_ALL)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], [n["target"] for n in v["nodes"]]) for v in found] == []


def test_three_regimens_print_on_one_page_without_the_form(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    untick_all_but(page, "FOLFOX", "FOLFOX + panitumumab", "CAPOX")
    estimate(page)
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    expect(page.locator("section.patient")).to_be_hidden()
    expect(page.locator("details.entered dd")).to_have_text(["54 years"])
    expect(page.locator("details.provenance")).to_contain_text("0d9c8a4e-8f5e-4c3b-9a57-5f1f4c7f6f10")


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
