"""Great Expectations' Data Docs, made to be read without a network: no remote styles, scripts or images."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from validation.engine import Engine, Tally
from validation.report import ValidationReport

#: What folds and unfolds a part of a page needs a script; unfolded it is read without.
_FOLD = re.compile(r'<a\b[^>]*data-toggle="collapse"[^>]*>.*?</a>', re.DOTALL)
_SITE = "registry"
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_LINK = re.compile(r"<link\b[^>]*>")
_IMAGE = re.compile(r"<img\b[^>]*>", re.DOTALL)
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL)
_FOOTER = re.compile(r"<footer\b.*?</footer>", re.DOTALL)
_HOME = re.compile(r'href="(?:\.\./)*index\.html"')
#: Links to the pages of suites without results, which are not kept.
_ELSEWHERE = re.compile(r'<a\b[^>]*href="[^"]*expectations/[^"]*"[^>]*>(.*?)</a>', re.DOTALL)


def write_data_docs(engine: Engine, folder: Path, report: ValidationReport) -> None:
    """Write the Data Docs of every suite that ran into a folder, and an index of them.

    Parameters
    ----------
    engine
        With what has run.
    folder
        Made when it does not exist. ``index.html`` and a page for each suite are written into it.
    """
    context = engine.context
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        site: Any = {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": scratch},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
        context.add_data_docs_site(_SITE, site)
        try:
            context.build_data_docs(site_names=[_SITE])
        finally:
            context.delete_data_docs_site(_SITE)
        style = (files("validation") / "data_docs.css").read_text("utf-8")
        for suite in engine.tallies:
            (found,) = (Path(scratch) / "validations" / suite).rglob("*.html")
            (folder / f"{suite}.html").write_text(offline(found.read_text("utf-8"), style), encoding="utf-8")
    (folder / "index.html").write_text(_index(engine.tallies, report, style), encoding="utf-8")


def offline(page: str, style: str) -> str:
    """A page of Data Docs without anything that it would fetch, and with its own style."""
    for pattern in (_SCRIPT, _LINK, _IMAGE, _STYLE, _FOOTER, _FOLD):
        page = pattern.sub("", page)
    page = _ELSEWHERE.sub(r"\1", page)
    page = _HOME.sub('href="index.html"', page)
    return page.replace("</head>", f"<style>\n{style}</style>\n</head>", 1)


def _index(tallies: Mapping[str, Tally], report: ValidationReport, style: str) -> str:
    links = "\n".join(
        f'<li><a href="{suite}.html">{escape(suite)}</a>: {t.unmet} of {t.evaluated} expectations not met</li>'
        for suite, t in tallies.items()
    )
    titles = ("Severity", "Field", "Code", "Rows", "What is wrong", "What is allowed", "What to do")
    heads = "".join(f"<th>{title}</th>" for title in titles)
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td>{escape(str(cell))}</td>"
            for cell in (p.severity, p.field, p.code, p.count or "", f"{p.what}.", f"{p.allowed}.", f"{p.do}.")
        )
        + "</tr>"
        for p in report.problems
    )
    table = f"<table class='table'><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table>" if rows else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>Registry validation</title>
<style>
{style}</style>
</head>
<body>
<main class="container-fluid">
<h1>Registry validation</h1>
<p>{escape(report.summary())} Specification {report.spec_digest[:12]}.</p>
{table}
<h2>What was checked</h2>
<ul>
{links}
</ul>
</main>
</body>
</html>
"""
