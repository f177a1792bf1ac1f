"""In a real browser: the report inside MLflow's own page, and the views that a job prepares for it."""

import re

import mlflow
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from benchmarks.screenshots import CHROMIUM, FLAGS, mlflow_page
from tests.training.report.made import NAMES, made_facts
from training.dashboard import CHARTS, TABLE, artifact_url, experiment_url, prepare
from training.report import render
from training.store import EXPERIMENT, Store

pytestmark = pytest.mark.browser
PATIENCE = 60_000


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_of(evaluation, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(made_facts(evaluation)), "utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser, page_of):
    """Open the page; a script's error or a request for anything else fails the test."""
    faults, contexts = [], []

    def go(width, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url != page_of else None)
        page.goto(page_of)
        return page

    yield go
    for context in contexts:
        context.close()
    assert faults == []


@pytest.mark.parametrize("width", [700, 800, 1200, 1920])
def test_the_page_fits_the_pane_of_mlflow_and_a_projector(visit, width):
    assert visit(width).evaluate("document.documentElement.scrollWidth") <= width


def test_a_figure_is_chosen_without_any_script(visit):
    page = visit(1000, java_script_enabled=False)
    expect(page.locator(".metric:visible .means b")).to_have_text("Log loss.")
    page.get_by_text("AUROC", exact=True).first.click()
    expect(page.locator(".metric:visible .means b")).to_have_text("AUROC.")


def test_a_figure_is_chosen_with_the_keyboard(visit):
    page = visit(1000)
    page.focus("#metric-1")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".metric:visible .means b")).to_have_text("AUROC.")


def test_axe_finds_nothing(visit):
    page = visit(1000)
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], [n["target"] for n in v["nodes"]]) for v in found] == []


def test_paper_gets_every_figure_and_what_was_folded(visit):
    page = visit(1000)
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".metric:visible").count() == page.locator(".metric").count() > 1
    expect(page.locator("nav")).to_be_hidden()
    assert page.locator("details").evaluate_all("parts => parts.every((part) => part.open)")


@pytest.mark.slow
def test_mlflow_shows_the_report_and_the_prepared_views(browser, evaluation, spec, tmp_path):
    store = Store(tmp_path)
    client = store.open()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    with mlflow.start_run(run_name="job", tags={"level": "job"}) as job:
        mlflow.log_text(render(made_facts(evaluation)), "report.html")
        for place, learner in enumerate(("alpha", "beta", "gamma")):
            with mlflow.start_run(run_name=learner, nested=True, tags={"level": "candidate"}):
                mlflow.log_param("learner", learner)
                found = {f"{o}/{m}": 0.5 + 0.01 * place for o in NAMES for m in ("log_loss", "auroc")}
                mlflow.log_metrics({"mean/log_loss": 0.6 - 0.01 * place, **found})
    prepare(client, experiment, spec, job.info.run_id)
    with mlflow_page(store) as address:
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()

        page.goto(artifact_url(address, experiment, job.info.run_id, "report.html"))
        frame = page.frame_locator("iframe#html")
        frame.get_by_role("heading", name="At a glance").wait_for(timeout=PATIENCE)
        frame.get_by_text("AUROC", exact=True).first.click()
        expect(frame.locator(".metric:visible .means b")).to_have_text("AUROC.")
        frame.get_by_role("link", name="Methods").click()
        expect(frame.locator("#methods")).to_be_in_viewport()

        page.goto(experiment_url(address, experiment, TABLE))
        page.get_by_text("mean/log_loss", exact=True).first.wait_for(timeout=PATIENCE)
        names = page.get_by_role("link", name=re.compile("^(alpha|beta|gamma|job)$"))
        expect(names).to_have_text(["gamma", "beta", "alpha"], timeout=PATIENCE)

        page.goto(experiment_url(address, experiment, CHARTS))
        page.get_by_text("Parallel Coordinates").first.wait_for(timeout=PATIENCE)
        context.close()
