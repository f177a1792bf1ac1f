"""Pictures of the web page, taken in a real browser from a running service.

`python -m benchmarks.page_screenshots --address http://127.0.0.1:3000 --out docs/images` enters the example patient and
photographs each view. It needs Debian's chromium and what requirements-dev.in lists.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "patient.json"
DESKTOP = {"width": 1440, "height": 1040}
PHONE = {"width": 390, "height": 844}
PAPER = {"width": 726, "height": 1060}  # A4 without its margins, at 96 pixels an inch
COLOURS = 128  # more than the page has, beside the blends at the edges of letters
PANELS = ("people", "pair", "tradeoff", "why", "sources")

_ENTER = """
([name, value]) => {
  const place = document.querySelector(`[data-field="${name}"]`);
  const texts = [].concat(value).map((each) => JSON.stringify(each));
  const every = [...place.querySelectorAll("input[type=radio], input[type=checkbox]")];
  const boxes = every.filter((box) => texts.includes(box.value));
  const box = place.querySelector("input.box, select.box");
  if (boxes.length) boxes.forEach((each) => each.click());
  else {
    box.value = box.tagName === "SELECT" ? texts[0] : value;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
"""


def answered(browser: Browser, address: str, example: Mapping[str, Any], **options: Any) -> Page:
    """Open the page, enter the example, and wait for the answer.

    Parameters
    ----------
    example
        A request as ``POST /predict`` takes it; its first regimen is the planned one.
    """
    page = browser.new_context(**options).new_page()
    chosen = [".".join(map(str, regimen.values())) for regimen in example["regimens"]]
    planned = chosen[0].rpartition(".")[0]
    page.goto(f"{address}/#compare={'+'.join(chosen)}&planned={planned}")
    for name, value in example["patient"].items():
        page.evaluate(_ENTER, [name, value])
    page.click("#estimate")
    page.locator(".missing .most").wait_for()
    return page


def take(browser: Browser, address: str, example: Mapping[str, Any], folder: Path) -> list[Path]:
    """Photograph the page at a desk, on a phone and on paper, and each view by itself."""
    taken: list[Path] = []

    def shot(target: Any, name: str, **options: Any) -> None:
        taken.append(folder / name)
        target.screenshot(path=taken[-1], **options)
        with Image.open(taken[-1]) as picture:
            few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(taken[-1], optimize=True)

    page = answered(browser, address, example, viewport=DESKTOP)
    page.locator(".patient").evaluate("part => (part.scrollTop = part.querySelectorAll('.group')[2].offsetTop - 20)")
    page.locator("#results").evaluate("part => part.scrollIntoView()")
    shot(page, "page.png")
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.wait_for_load_state("networkidle")
        page.locator(f"#panel-{panel}").evaluate("part => part.scrollIntoView()")
        page.locator(".bar").evaluate("bar => (bar.hidden = true)")
        shot(page.locator(f"#panel-{panel} > *"), f"page_{panel}.png")

    page = answered(browser, address, example, viewport=PHONE, device_scale_factor=2)
    page.locator("#panel-rows").evaluate("part => part.scrollIntoView()")
    shot(page, "page_phone.png")

    page = answered(browser, address, example, viewport=PAPER, device_scale_factor=2)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    shot(page, "page_print.png", full_page=True)
    return taken


def main() -> int:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", default="http://127.0.0.1:3000", help="of the running service")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    example = json.loads(EXAMPLE.read_text("utf-8"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        for path in take(browser, given.address.rstrip("/"), example, given.out):
            print(path)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
