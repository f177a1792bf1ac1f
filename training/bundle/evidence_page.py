"""Evidence page: where the numbers come from, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from features import Specification
from training.bundle.coefficients import PriorParameters
from training.bundle.effect import BASIS, EffectRow, effect_rows

STYLE = "evidence.css"  # beside this file; a service may link it instead of writing it into the page


def effects_page(parameters: PriorParameters, spec: Specification, stylesheet: str | None = None) -> str:
    """Render every effect as an HTML page without scripts.

    Parameters
    ----------
    parameters
        Coefficients of the evidence, of a bundle or the committed ones.
    stylesheet
        Address of a stylesheet to link; None writes the style into the page, which then needs no other file.
    """
    rows = effect_rows(parameters, spec)
    outcomes = [o for o in spec.outcomes.outcomes if any(r.outcome == o.name for r in rows)]
    links = "".join(f'<li><a href="#{escape(o.name)}">{escape(o.label)}</a></li>' for o in outcomes)
    sections = "".join(_section(o.name, o.definition, [r for r in rows if r.outcome == o.name]) for o in outcomes)
    style = (
        f"<style>{_style()}</style>" if stylesheet is None else f'<link rel="stylesheet" href="{escape(stylesheet)}">'
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Where the numbers come from</title>
{style}
</head>
<body>
<main>
<h1>Where the numbers come from</h1>
<p>Each row is an association with one outcome in published studies, other inputs and the regimen equal: the odds of the
outcome are multiplied by the odds ratio. An interval that includes 1 leaves the direction open. Nothing here says that
one thing causes another or that a regimen should be chosen.</p>
<ul>
<li><b>{escape(BASIS["published"])}</b>: rests mainly on numbers that were read at their source.</li>
<li><b class="unverified">{escape(BASIS["unverified"])}</b>: rests mainly on numbers that were not read again at their
source.</li>
<li><b class="judgement">{escape(BASIS["judgement"])}</b>: no study in the tables gives it; elicited, and wide for that
reason.</li>
</ul>
<p>Evidence digest {escape(parameters.evidence_digest[:12])}.</p>
<nav aria-label="Outcomes"><ul>{links}</ul></nav>
{sections}</main>
</body>
</html>
"""


def _style() -> str:
    return (files("training.bundle") / STYLE).read_text("utf-8")


def _section(name: str, definition: str, rows: Sequence[EffectRow]) -> str:
    within = f" Among those with: {escape(rows[0].within.lower())}." if rows[0].within else ""
    body = "".join(
        f"<tr><td>{escape(r.text)}</td><td class='number'>{r.odds_ratio:.2f}</td>"
        f"<td class='number'>{r.low:.2f} to {r.high:.2f}</td>"
        f"<td class='{escape(r.basis)}'>{escape(r.basis_in_words)}</td>"
        f"<td>{escape(', '.join(r.studies)) or '&ndash;'}</td><td>{escape(r.note)}</td></tr>\n"
        for r in rows
    )
    return f"""<section id="{escape(name)}">
<h2>{escape(rows[0].label)}</h2>
<p>{escape(definition)}.{within}</p>
<table>
<thead><tr><th scope="col">Comparison</th><th scope="col" class="number">Odds ratio</th>
<th scope="col" class="number">90% interval</th><th scope="col">Rests on</th><th scope="col">Studies</th>
<th scope="col">Note</th></tr></thead>
<tbody>
{body}</tbody>
</table>
</section>
"""
