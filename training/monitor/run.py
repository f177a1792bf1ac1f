"""What MLflow is told of a look at the served model."""

from __future__ import annotations

import json
import math
from typing import Any

from training.monitor.job import Monitored
from training.store import Store
from validation.monitoring.findings import Severity
from validation.monitoring.outcome import month_name

PAGE, FIGURES = "monitoring.html", "monitoring.json"


def as_json(found: Monitored) -> dict[str, Any]:
    """Findings and figures as plain data; no patient's values."""
    return {
        "as_of": found.as_of.isoformat(),
        "champion": found.champion,
        "served": found.served,
        "predictions": found.predictions,
        "with_outcomes": found.with_outcomes,
        "needs_retraining": found.findings.needs_retraining,
        "reason": found.findings.reason,
        "findings": [{**f.model_dump(), "severity": f.severity.word} for f in found.findings.found],
        "outcomes": {
            w.closed.outcome: {
                "evaluable": w.evaluable,
                "known": w.complete,
                "patients": None if w.last is None else w.last.patients,
                "observed": None if w.last is None else w.last.observed,
                "expected": None if w.last is None else round(w.last.expected, 3),
                "o_e": None if w.last is None else w.last.ratio,
                "limits_95": None if w.last is None else w.last.inner,
                "limits_998": None if w.last is None else w.last.outer,
                "cusum": {
                    c.direction: {
                        "now": round(float(c.path[-1]), 3),
                        "limit": round(c.limit, 3),
                        "crossed": None if c.crossed is None else month_name(c.crossed),
                    }
                    for c in w.charts
                },
            }
            for w in found.watched
        },
        "power": [
            {"outcome": p.outcome, "o_e": round(p.ratio, 3), "within_60_events": p.within_events} for p in found.power
        ],
        "reference": found.reference_text,
        "thresholds": found.thresholds.model_dump(mode="json"),
    }


def log(store: Store, found: Monitored, page: str) -> str:
    """Log one run with the page, the findings and the figures that a table of months compares.

    Returns
    -------
    str
        The run's identifier.
    """
    import mlflow

    store.open()
    tags = {
        "level": "monitor",
        "job": "monitor",
        "as_of": found.as_of.isoformat(),
        "model_version": found.served,
        "needs_retraining": str(found.findings.needs_retraining).lower(),
        "data_digest": found.digests[0],
    }
    with mlflow.start_run(run_name=f"monitor-{found.as_of}", tags=tags) as run:
        mlflow.log_params({"predictions": found.predictions, "thresholds_version": found.thresholds.version})
        mlflow.log_metrics(_metrics(found))
        mlflow.log_text(page, PAGE)
        mlflow.log_text(json.dumps(as_json(found), indent=1) + "\n", FIGURES)
        return str(run.info.run_id)


def _metrics(found: Monitored) -> dict[str, float]:
    metrics: dict[str, float] = {
        "monitor/alerts": len(found.findings.alerts),
        "monitor/shown": sum(f.severity is Severity.SHOW for f in found.findings.found),
        "monitor/predictions_in_window": found.recent,
    }
    for watched in found.watched:
        name, last = watched.closed.outcome, watched.last
        if watched.complete is not None:
            metrics[f"{name}/known"] = watched.complete
        if last is not None and last.ratio is not None:
            metrics[f"{name}/observed_to_expected_12m"] = last.ratio
        for chart in watched.charts:
            metrics[f"{name}/cusum_{chart.direction}"] = float(chart.path[-1])
    indices = [d.shift.psi for d in found.inputs if d.shift.psi is not None]
    if indices:
        metrics["inputs/largest_psi"] = max(indices)
    return {name: round(value, 5) for name, value in metrics.items() if math.isfinite(value)}
