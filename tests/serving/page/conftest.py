"""One service and one browser for all tests of the page; a fresh context for each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.serving.page.canned import Served

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
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"))


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
    """Open the page; a message in the console, a script's error or a request elsewhere fails the test.

    `at` is what follows the address of the service; `known` is told by ``GET /model`` beside the model.
    """
    faults: list[str] = []
    contexts = []

    def go(width: int = 1280, at: str = "", known: dict[str, Any] | None = None, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if "Failed to load resource" not in m.text else None)
        page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(served.address) else None)
        if known:
            page.route("**/model", lambda route: route.fulfill(json={**served.scorer.model_card, **known}))
        page.goto(served.address + at)
        return page

    served.scorer.reset()
    yield go
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def answered(visit: Callable[..., Page]) -> Callable[..., Page]:
    """Open the page, enter the age alone, and ask for some regimens, those ticked at first when none is named."""
    from tests.serving.page.canned import estimate, untick_all_but

    def go(*labels: str, view: str | None = None, **options: Any) -> Page:
        page = visit(**options)
        page.fill("#f-age_years", "54")
        if labels:
            untick_all_but(page, *labels)
        estimate(page)
        if view:
            page.click(f"#tab-{view}")
        return page

    return go
