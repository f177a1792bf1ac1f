"""Promotion: moving the champion alias, by gates and by name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from features import Specification
from training.crossfit import METRICS
from training.registration import alias_version, bundle_folder, registered_manifest
from training.store import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Store
from validation.discrimination import Metric
from validation.gates import Verdict, judge, load_gates


class PromotionRefused(ValueError):
    """The model must not be promoted; the message says why and what would allow it."""


@dataclass(frozen=True)
class Promotion:
    """What was decided and on which figures."""

    version: str
    replaced: str | None
    verdicts: tuple[Verdict, ...]


def promote(
    store: Store, spec: Specification, version: str | None, allow_simulated: bool, by: str, reason: str
) -> Promotion:
    """Make a version the champion.

    A model trained on simulated patients needs `allow_simulated` and is not gated, because its figures say nothing
    about patients. A model trained on a registry must pass every gate. Evidence alone may always be restored.

    Raises
    ------
    PromotionRefused
        Naming the gate or the permission that is missing.
    """
    client = store.open()
    version = version or alias_version(store, CHALLENGER)
    if version is None:
        raise PromotionRefused("there is no challenger; train one with `resecta train --data REGISTRY`")
    manifest = registered_manifest(store, version)
    if manifest.spec_digest != spec.digest:
        raise PromotionRefused("the model was trained against another specification; retrain it")
    verdicts: tuple[Verdict, ...] = ()
    if manifest.simulated and not allow_simulated:
        raise PromotionRefused(
            "the model was trained on simulated patients, which are no evidence; "
            "--allow-simulated serves it for demonstration, and every answer will say so"
        )
    if manifest.trained_on.kind == "registry":
        verdicts = _gate(store, spec, version)
        failed = [f"{v.gate}: {v.text}" for v in verdicts if not v.passed]
        _write(store, version, verdicts, by, reason, "refused" if failed else "promoted")
        if failed:
            raise PromotionRefused("gates not passed: " + "; ".join(failed))
    else:
        _write(store, version, verdicts, by, reason, "promoted")
    replaced = alias_version(store, CHAMPION)
    # The registry is never without a loadable champion: `previous` is set before the champion moves.
    bundle_folder(store, version)
    if replaced is not None and replaced != version:
        client.set_registered_model_alias(MODEL, PREVIOUS, replaced)
    client.set_registered_model_alias(MODEL, CHAMPION, version)
    if alias_version(store, CHALLENGER) == version:
        client.delete_registered_model_alias(MODEL, CHALLENGER)
    return Promotion(version, replaced, verdicts)


def _gate(store: Store, spec: Specification, version: str) -> tuple[Verdict, ...]:
    client = store.open()
    run_id = str(client.get_model_version(MODEL, version).run_id)
    headline = [o.name for o in spec.outcomes.outcomes if o.headline]
    mine = _logged(client.get_run(run_id).data.metrics, headline)
    evidence = client.search_runs(
        [client.get_run(run_id).info.experiment_id],
        f"tags.mlflow.parentRunId = '{run_id}' and tags.model_family = 'evidence'",
    )
    theirs = _logged(evidence[0].data.metrics if evidence else {}, headline)
    return judge(load_gates(), mine, theirs)


def _logged(metrics: Mapping[str, float], outcomes: list[str]) -> dict[str, dict[str, Metric]]:
    def one(key: str) -> Metric:
        return Metric(metrics[key]) if key in metrics else Metric(None, "not logged")

    return {outcome: {name: one(f"{outcome}/{name}") for name in METRICS} for outcome in outcomes}


def _write(store: Store, version: str, verdicts: tuple[Verdict, ...], by: str, reason: str, decision: str) -> None:
    client = store.open()
    when = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    client.set_model_version_tag(MODEL, version, "decision", f"{decision} {when} by {by}: {reason}")
    for verdict in verdicts:
        mark = "passed" if verdict.passed else "failed"
        client.set_model_version_tag(
            MODEL, version, f"gate.{verdict.gate.replace('/', '.')}", f"{mark}: {verdict.text}"
        )
