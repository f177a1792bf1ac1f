"""The board's page: one HTML file that needs nothing else and prints on one sheet."""

from __future__ import annotations

from importlib.resources import files

from features import Specification
from training.closed_cohort import load_closing
from training.monitor.charts import cusum_chart, rolling_chart
from training.monitor.job import Monitored
from validation.monitoring.drift import InputDrift
from validation.monitoring.findings import Severity
from validation.monitoring.outcome import Watched, month_name
from validation.monitoring.sequential import RollingPoint

_TOP = 6  # inputs on the printed page


def render(found: Monitored, spec: Specification) -> str:
    """Render the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("training.monitor"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    closing = load_closing(spec)
    by_severity = {s: [f for f in found.findings.found if f.severity is s] for s in Severity}
    charted = found.charted
    return environment.get_template("page.html").render(
        m=found,
        c=found.thresholds.calibration,
        i=found.thresholds.inputs,
        style=Markup((files("training.monitor") / "templates" / "page.css").read_text("utf-8")),
        simulated=found.simulated,
        worst=max((f.severity for f in found.findings.found), default=Severity.OK),
        alerts=by_severity[Severity.ALERT],
        shown=by_severity[Severity.SHOW],
        calm=[f for f in by_severity[Severity.OK] if "evaluable" in f.text],
        cusum=Markup(cusum_chart(charted)),
        rolling=Markup(rolling_chart(charted)),
        spoken_cusum=" ".join(_spoken_cusum(w) for w in charted),
        spoken_rolling=" ".join(_spoken_rolling(w) for w in charted),
        top=_top(found.inputs),
        outside=[s for s in found.subgroups if s.outside],
        drifted=[d for d in found.drift if d.severity > Severity.OK or spec.outcomes[d.outcome].headline],
        delay=" and ".join(str(closing.months[w.closed.outcome] + closing.delay_months) for w in charted),
        rows=[w for w in found.watched if w.evaluable or w in charted],
        label=lambda name: spec.outcomes[name].label,
        limits=_limits,
        month=month_name,
        row=lambda one: Markup(environment.get_template("input_row.html").render(d=one)),
    )


def _top(inputs: tuple[InputDrift, ...]) -> list[InputDrift]:
    ranked = sorted(inputs, key=lambda d: (-d.severity, -(d.shift.psi or 0.0)))
    return ranked[: max(_TOP, sum(d.severity is Severity.ALERT for d in ranked))]


def _limits(point: RollingPoint, bounds: tuple[int, int]) -> str:
    if point.expected <= 0:
        return "–"
    return f"{bounds[0] / point.expected:.2f}–{bounds[1] / point.expected:.2f}"


def _spoken_cusum(one: Watched) -> str:
    if not one.charts:
        return f"{one.closed.label}: not yet evaluable."
    parts = [
        f"{c.direction} events: now {c.path[-1]:.1f}, limit {c.limit:.1f}"
        + ("" if c.crossed is None else f", crossed in {month_name(c.crossed)}")
        for c in one.charts
    ]
    return f"{one.closed.label}: {'; '.join(parts)}."


def _spoken_rolling(one: Watched) -> str:
    if one.last is None or one.last.ratio is None:
        return f"{one.closed.label}: not yet evaluable."
    return f"{one.closed.label}: {one.last.ratio:.2f}, 95% limits {_limits(one.last, one.last.inner)}."
