"""Which gates stop challengers that were made worse on purpose, and how often a sound refit passes.

`python -m benchmarks.promotion --hospitals 10 --spoilt 3` simulates hospital networks. In each the champion learned
from the first patients, a sound challenger from twice as many, and both are judged on the next ones, whom neither saw.
The faults are put into a challenger that is otherwise sound. Every patient is invented.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
from numpy.typing import NDArray

from features import Part, Patients, Regimen, Specification, load_specification
from training.bundle import Bundle, Manifest, OutcomeModel, Prior, TrainedOn
from training.bundle.learned import BoosterModel, Learned
from training.checks import HELD, chances, check_bundle, coverage
from training.encoded import encode, enough
from training.evidence import load_prior
from training.learners import fit_candidate
from training.learners.update import updated_parameters
from training.registry import Cohort, build_cohort
from training.simulator import simulate
from validation.gates import GateFacts, load_gates
from validation.panel import Panel, evaluate
from validation.subgroups import groups
from validation.verdict import Verdict, judge

Array = NDArray[np.float64]
SITES = 4
OFF = 0.7  # on the log-odds scale
OFF_FOR_SOME = 1.0


@dataclass(frozen=True)
class Hospital:
    """A simulated network: patients in order of start, of whom the last `judged` were seen by no model."""

    spec: Specification
    prior: Prior
    cohort: Cohort
    judged: int
    champion: Bundle
    sound: Bundle

    @property
    def training(self) -> Cohort:
        return self.cohort.take(np.arange(len(self.cohort) - self.judged))

    @property
    def newest(self) -> Cohort:
        return self.cohort.take(np.arange(len(self.cohort) - self.judged, len(self.cohort)))


def hospital(seed: int, fewer: int = 1500, judged: int = 1000, every_outcome: bool = True) -> Hospital:
    """Simulate one network and train champion and sound challenger, the latter on twice as many patients."""
    spec = load_specification()
    prior = load_prior(spec)
    wanted = 2 * fewer + judged
    frame, _ = simulate(spec, patients=int(1.35 * wanted) + 50, seed=seed, sites=SITES)
    cohort = build_cohort(frame, spec)
    # Closed patients alone: the outcome that everything lies in is known.
    closed = np.flatnonzero(~np.isnan(cohort.outcomes[spec.outcomes.part(Part.RESECTION).name]))
    order = closed[np.argsort(cohort.index_date[closed], kind="stable")][-wanted:]
    if len(order) < wanted:
        raise ValueError(f"only {len(order)} closed patients of {wanted} were simulated")
    cohort = cohort.take(order)
    champion = fitted(cohort.take(np.arange(fewer)), prior)
    sound = fitted(cohort.take(np.arange(2 * fewer)), prior, every_outcome)
    return Hospital(spec, prior, cohort, judged, champion, sound)


def fitted(cohort: Cohort, prior: Prior, every_outcome: bool = False) -> Bundle:
    """Train the candidate that starts from the evidence, as a job would on real patients.

    Outcomes that nobody judges are answered by the evidence, unless asked for: the settled orderings are of them too.
    """
    spec = cohort.spec
    encoded = encode(cohort, prior, spec)
    headline = [o.name for o in spec.outcomes.outcomes if o.headline]
    needed = {name for o in headline for name in (o, *spec.outcomes.ancestors(o))}
    updates, models = {}, []
    learned: dict[str, Learned] = {}
    for name in spec.outcomes.names:
        if enough(encoded, name, 1) is not None or not (every_outcome or name in needed):
            models.append(OutcomeModel(outcome=name, learner="evidence"))
            continue
        fit = fit_candidate("xgboost_prior", encoded, name, encoded.eligible(name))
        models.append(OutcomeModel(outcome=name, learner="xgboost_prior", lack_of_fit=fit.lack_of_fit))
        if fit.updated is not None:
            updates[name] = fit.updated
        if fit.file is not None and fit.write is not None:
            raw = fit.write.keywords["raw"]  # type: ignore[attr-defined]
            learned[name] = BoosterModel(raw, encoded.factors, (), True, 0.0, spec)
    manifest = Manifest(
        name="resecta",
        learner="xgboost_prior",
        created="now",
        code_version="benchmark",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="registry", text="Invented patients", patients=len(cohort), data_digest="0"),
        outcomes=tuple(models),
    )
    moved = Prior(updated_parameters(prior, updates, keep_doubt=False), spec)
    return Bundle(manifest, moved, spec, learned)


def decide(here: Hospital, challenger: Bundle) -> tuple[Verdict, ...]:
    """Judge a challenger by every gate, as a promotion would."""
    cohort, spec = here.newest, here.spec
    headline = [o.name for o in spec.outcomes.outcomes if o.headline]
    bundles = {"challenger": challenger, "champion": here.champion}
    predictions = {}
    for name, bundle in bundles.items():
        point, _ = chances(bundle, cohort, headline)
        predictions[name] = {o: point[:, i] for i, o in enumerate(headline)}
    rows = {o: ~np.isnan(cohort.outcomes[o]) for o in headline}
    for o in headline:
        given = spec.outcomes[o].given
        if given is not None:
            rows[o] &= cohort.outcomes[given] == 1
    panel = Panel(
        outcomes={o: cohort.outcomes[o] for o in headline},
        rows=rows,
        predictions=predictions,
        kinds={"challenger": "candidate", "champion": "champion"},
        cluster=cohort.site,
        how="newest closed cohort",
        groups=groups(spec, cohort.patients, cohort.regimens, cohort.site),
    )
    evaluation = evaluate(panel, spec, against=["champion"])
    facts = check_bundle(challenger, spec).model_copy(
        update={
            "model": "challenger",
            "data_validated": HELD,
            "champion_unchanged": HELD,
            "coverage": coverage(challenger, cohort),
        }
    )
    return judge(load_gates(), evaluation, "challenger", "champion", GateFacts.model_validate(facts), headline)


class Shifted:
    """A learned model, or the prior itself, with log-odds moved for some patients."""

    def __init__(self, under: Learned | None, by: Callable[[Patients], Array]) -> None:
        self.under, self.by = under, by

    def log_odds(self, patients: Patients, regimens: Sequence[Regimen], base_margin: Array | None) -> Array:
        assert base_margin is not None
        base = base_margin if self.under is None else self.under.log_odds(patients, regimens, base_margin)
        return np.asarray(base + self.by(patients)[:, None])

    def paired(self, patients: Patients, plans: Sequence[Sequence[Regimen]], base_margin: Array) -> Array:
        base = base_margin if self.under is None else self.under.paired(patients, plans, base_margin)
        return np.asarray(base + self.by(patients)[None])


def shifted(bundle: Bundle, moves: Mapping[str, Callable[[Patients], Array]]) -> Bundle:
    """The same model with the log-odds of some outcomes, given their parents, moved."""
    learned = dict(bundle.engine.learned)
    learned |= {name: Shifted(learned.get(name), by) for name, by in moves.items()}
    return Bundle(bundle.manifest, bundle.prior, bundle.spec, learned)


def shuffled(here: Hospital) -> tuple[Verdict, ...]:
    """Labels of other patients."""
    training = here.training
    order = np.random.default_rng(1).permutation(len(training))
    mixed = replace(training, outcomes={name: y[order] for name, y in training.outcomes.items()})
    return decide(here, fitted(mixed, here.prior))


def leaking(here: Hospital) -> tuple[Verdict, ...]:
    """A tumour marker that was measured after surgery and filed as baseline, in training and where it is judged."""
    spec = here.spec
    marker = next(f.of for f in spec.encoding.patient_factors if f.transform == "log10" and f.of in spec.fields)
    assert marker is not None
    operated = here.cohort.outcomes[spec.outcomes.part(Part.RESECTION).name] == 1
    noise = np.random.default_rng(2).standard_normal(len(here.cohort))
    late = 10 ** (np.where(operated, 0.3, 1.9) + 0.4 * noise)
    filed = replace(here.cohort, patients=here.cohort.patients.replace({marker: late}))
    with_leak = replace(here, cohort=filed)
    return decide(with_leak, fitted(with_leak.training, here.prior))


def miscalibrated(part: Part, by: float) -> Callable[[Hospital], tuple[Verdict, ...]]:
    """One outcome, given its parent, moved for everyone."""

    def fault(here: Hospital) -> tuple[Verdict, ...]:
        name = here.spec.outcomes.part(part).name
        return decide(here, shifted(here.sound, {name: lambda patients: np.full(patients.n, by)}))

    return fault


def unfair(group: int, level: int) -> Callable[[Hospital], tuple[Verdict, ...]]:
    """Chances of surgery too low for one level of one group of subgroups.yaml."""

    def fault(here: Hospital) -> tuple[Verdict, ...]:
        def members(patients: Patients) -> Array:
            nobody = np.full(patients.n, "")
            anything = [here.spec.regimens.all()[0]] * patients.n
            levels = list(groups(here.spec, patients, anything, nobody).values())[group]
            return -OFF_FOR_SOME * list(levels.values())[level]

        name = here.spec.outcomes.part(Part.RESECTION).name
        return decide(here, shifted(here.sound, {name: members}))

    return fault


FAULTS: Mapping[str, Callable[[Hospital], tuple[Verdict, ...]]] = {
    "labels shuffled": shuffled,
    "leaking column": leaking,
    "surgery 0.7 too high": miscalibrated(Part.RESECTION, OFF),
    "surgery 0.7 too low": miscalibrated(Part.RESECTION, -OFF),
    "complication 0.7 too high": miscalibrated(Part.COMPLICATION, OFF),
    "complication 0.7 too low": miscalibrated(Part.COMPLICATION, -OFF),
    "too low from 70 years": unfair(0, 1),
    "too low in women": unfair(1, 0),
    "too low on the right side": unfair(2, 1),
}


def stopped_by(verdicts: Sequence[Verdict]) -> list[str]:
    """Names of the gates that were not passed, with their figures."""
    return [f"{v.gate}: {v.text}" for v in verdicts if not v.passed]


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--hospitals", type=int, default=10, help="networks in which a sound refit is judged")
    parser.add_argument("--spoilt", type=int, default=3, help="of them, those in which every fault is tried")
    parser.add_argument("--fewer", type=int, default=1500, help="patients behind the champion")
    parser.add_argument("--judged", type=int, default=1000, help="newest patients, seen by neither")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("build/promotion"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, object]] = []
    for i in range(asked.hospitals):
        began = time.monotonic()
        here = hospital(asked.first_seed + i, asked.fewer, asked.judged)
        tried = {"sound refit": lambda h: decide(h, h.sound), **(FAULTS if i < asked.spoilt else {})}
        for name, make in tried.items():
            verdicts = make(here)
            stopped = stopped_by(verdicts)
            found.append(
                {
                    "hospital": i,
                    "challenger": name,
                    "promoted": not stopped,
                    "stopped_by": stopped,
                    "figures": {v.gate: {"value": v.value, "text": v.text} for v in verdicts},
                }
            )
            gates = ", ".join(s.partition(":")[0] for s in stopped)
            print(f"{i:2d}  {name:30s} {'promoted' if not stopped else 'stopped by ' + gates}", flush=True)
        print(f"    {time.monotonic() - began:.0f} s", flush=True)
    sound = [f for f in found if f["challenger"] == "sound refit"]
    faulty = [f for f in found if f["challenger"] != "sound refit"]
    print(f"sound refits promoted: {sum(bool(f['promoted']) for f in sound)} of {len(sound)}")
    print(f"faults stopped: {sum(not f['promoted'] for f in faulty)} of {len(faulty)}")
    (asked.out / "promotion.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
