"""Screenshots of the MLflow page, taken in a real browser from a real store.

`python -m benchmarks.screenshots --store mlruns --out docs/images` starts the MLflow page on a free port, opens each
view that a job prepares, and ends it again. It needs Debian's chromium and what requirements-dev.in lists.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

for _name, _value in {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient
from mlflow.entities import Run
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLong

from features import load_specification
from training.dashboard import CHARTS, JOBS, TABLE, artifact_url, compare_url, experiment_url, model_url, prepare
from training.store import CHAMPION, EXPERIMENT, MODEL, Store

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
REPORT = "report.html"
WIDTH, HEIGHT = 1440, 900
_PATIENCE = 60_000  # ms; charts are drawn late on a busy machine
# The page's assistant covers a third of it when it is opened for the first time.
_QUIET = """
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
localStorage.setItem('mlflow.workflowType_v1', '"machine_learning"');
"""
# Where this machine keeps its store is nobody's business.
_UNPLACE = """
document.querySelectorAll('div, span').forEach((part) => {
  if (!part.children.length && part.textContent.includes('file:///')) part.style.visibility = 'hidden';
});
"""


@dataclass(frozen=True)
class Shot:
    """One picture: its file, where it is taken, and what must be seen before it is taken."""

    file: str
    address: str
    ready: Callable[[Page], None]
    height: int = HEIGHT


@contextmanager
def mlflow_page(store: Store) -> Iterator[str]:
    """Serve a store on a free port of this machine.

    Yields
    ------
    str
        Its address.

    Raises
    ------
    TimeoutError
        When it does not answer within a minute.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store.uri, "--default-artifact-root", (store.folder / "artifacts").as_uri()]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait(f"{address}/health", server)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _wait(address: str, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise TimeoutError(f"the MLflow page did not answer at {address} within {seconds:g} s")


def shots(store: Store, address: str) -> list[Shot]:
    """What is photographed of a store.

    Raises
    ------
    LookupError
        When no job on a registry has ended in it.
    """
    client = store.open()
    found = client.get_experiment_by_name(EXPERIMENT)
    assert found is not None
    experiment = str(found.experiment_id)
    spec = load_specification()
    jobs = client.search_runs([experiment], "tags.level = 'job' AND tags.trained_on != 'evidence'", max_results=1)
    if not jobs:
        raise LookupError(f"{store.folder} holds no training on a registry; `resecta train --data REGISTRY` makes one")
    job = jobs[0]
    prepare(client, experiment, spec, job.info.run_id)
    children = _models(client, experiment, job.info.run_id)
    headline = [o.name for o in spec.outcomes.outcomes if o.headline]
    metrics = [f"{outcome}/log_loss" for outcome in headline]
    version = _version(client, job)
    listed = [
        Shot("mlflow_runs.png", experiment_url(address, experiment, TABLE), _seen("mean/log_loss"), 700),
        Shot("mlflow_jobs.png", experiment_url(address, experiment, JOBS), _seen(job.info.run_name or "registry"), 520),
        Shot("mlflow_charts.png", experiment_url(address, experiment, CHARTS), _drawn, 1250),
        Shot("mlflow_compare.png", compare_url(address, experiment, children), lambda p: _parallel(p, metrics), 640),
        Shot("mlflow_scatter.png", compare_url(address, experiment, children), lambda p: _scatter(p, headline[1]), 680),
        Shot("mlflow_versions.png", model_url(address), _seen("challenger"), 620),
    ]
    if version is not None:
        listed.append(Shot("mlflow_version.png", model_url(address, version), _seen("Tags"), 1000))
    if REPORT in {a.path for a in client.list_artifacts(job.info.run_id)}:
        address_of_it = artifact_url(address, experiment, job.info.run_id, REPORT)
        listed.append(Shot("mlflow_report.png", address_of_it, _framed, 1300))
    return listed


def _models(client: MlflowClient, experiment: str, job: str) -> list[str]:
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{job}'")
    return [run.info.run_id for run in found]


def _version(client: MlflowClient, job: Run) -> str | None:
    """The champion when a job on a registry made it, because gates are written on it; else the job's own version."""
    found = client.search_model_versions(f"name='{MODEL}'")
    held = client.get_registered_model(MODEL).aliases.get(CHAMPION) if found else None
    promoted = [v for v in found if str(v.version) == str(held) and "decision" in v.tags]
    chosen = promoted or [v for v in found if v.run_id == job.info.run_id]
    return str(chosen[0].version) if chosen else None


def _seen(text: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_text(text, exact=False).first.wait_for(timeout=_PATIENCE)


def _drawn(page: Page) -> None:
    page.locator(".js-plotly-plot .scatterlayer").first.wait_for(timeout=_PATIENCE, state="attached")
    page.locator("svg g.dimension, .parcoords, .parallel-coord-chart svg").first.wait_for(
        timeout=_PATIENCE, state="attached"
    )


def _parallel(page: Page, metrics: list[str]) -> None:
    page.get_by_role("button", name="Clear All").click(timeout=_PATIENCE)
    boxes = page.locator(".du-bois-light-select, .ant-select").filter(has=page.locator("input"))
    _choose(page, boxes.nth(0), ["learner"])
    _choose(page, boxes.nth(1), metrics)
    page.locator(".js-plotly-plot .parcoords").first.wait_for(timeout=_PATIENCE, state="attached")


def _choose(page: Page, box, names: list[str]) -> None:  # type: ignore[no-untyped-def]
    box.click()
    for name in names:
        box.locator("input").fill(name)
        page.locator("[class*=select-item-option]").filter(has_text=re.compile(f"^{re.escape(name)}$")).first.click()
    page.keyboard.press("Escape")


def _scatter(page: Page, outcome: str) -> None:
    page.get_by_role("tab", name="Scatter Plot").click(timeout=_PATIENCE)
    for axis, metric in (("x", "auroc"), ("y", "log_loss")):
        page.locator(f"#{axis}-axis-selector").click(timeout=_PATIENCE)
        page.get_by_role("option", name=f"{outcome}/{metric}", exact=True).click(timeout=_PATIENCE)


def _framed(page: Page) -> None:
    page.frame_locator("iframe#html").get_by_role("heading", name="At a glance").wait_for(timeout=_PATIENCE)


def take(browser: Browser, shot: Shot, folder: Path) -> Path:
    """Open one view and photograph it once it is drawn; what is not drawn in time is photographed as it is."""
    context = browser.new_context(viewport={"width": WIDTH, "height": shot.height})
    context.add_init_script(_QUIET)
    page = context.new_page()
    page.goto(shot.address)
    try:
        shot.ready(page)
    except TooLong as late:
        print(f"{shot.file}: {str(late).splitlines()[0]}", file=sys.stderr)
    page.wait_for_timeout(4000)
    page.evaluate(_UNPLACE)
    path = folder / shot.file
    page.screenshot(path=path)
    context.close()
    return path


def main() -> int:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=Path("mlruns"), help="folder of the MLflow store")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    parser.add_argument("--only", nargs="*", default=[], help="files to take, all when omitted")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    store = Store(given.store.resolve())
    with mlflow_page(store) as address, sync_playwright() as playwright:
        try:
            wanted = [s for s in shots(store, address) if not given.only or s.file in given.only]
        except LookupError as nothing:
            print(nothing, file=sys.stderr)
            return 1
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        for shot in wanted:
            print(take(browser, shot, given.out))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
