"""Fit: starting values, contrasts and anchors together give the coefficients of the prior with their covariance.

See block.py for the model. The fitted file is committed; ``python -m training.evidence.fit`` writes it anew after a
change of the data or of the encoding.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features import INTERCEPT, Specification, load_specification
from training.bundle import PriorParameters
from training.bundle.coefficients import Coefficient, OutcomePrior
from training.evidence import arm_calibration
from training.evidence.anchors import anchor_observations, level_intercepts
from training.evidence.arm_effects import COMMITTED as ARM_EFFECTS
from training.evidence.arm_effects import ArmEffects
from training.evidence.arms import ArmReader
from training.evidence.beliefs import Belief, read_beliefs
from training.evidence.block import BETWEEN_HOSPITALS, Block, Chains, Posterior
from training.evidence.carried_over import ORIGIN, CarriedOver, carried_over
from training.evidence.committed import COMMITTED
from training.evidence.contrasts import CARRIED_OVER, load_contrasts
from training.evidence.held_out import Evidence
from training.evidence.joint import Joint
from training.evidence.observation import Observation
from training.evidence.population import everyone, read_case_mix, read_populations
from training.evidence.tables import data_folder, load_tables

Array = NDArray[np.float64]
Share = tuple[str, tuple[str, ...], str, float]  # basis, studies, name, contribution to a variance
TELLING = 0.05  # a study is named for an effect when it carries at least this share of what is known of it


def evidence_digest() -> str:
    """SHA-256 over every input file of the fit, hexadecimal."""
    digest = hashlib.sha256()
    for entry in sorted(data_folder().iterdir(), key=lambda e: e.name):
        if entry.name.endswith((".csv", ".yaml")):
            digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


def build_prior_parameters(spec: Specification | None = None) -> PriorParameters:
    """Fit the evidence.

    Returns
    -------
    PriorParameters
        Rounded to 6 digits, so that the committed file is the same on every machine.

    Raises
    ------
    ValueError
        Naming every entry of the data files that does not fit the specification or the tables.
    """
    spec = spec or load_specification()
    tables, case_mix, populations = load_tables(), read_case_mix(), read_populations()
    studies = frozenset(str(r["study_id"]) for t in tables.values() for r in t.rows if "study_id" in r)
    faults = case_mix.complaints(spec) + populations.complaints(spec)
    if faults:
        raise ValueError("\n".join(faults))
    beliefs = read_beliefs(tables["effects"], spec, studies)
    used = {b.term for part in beliefs.values() for b in part}
    terms = tuple(t for t in spec.encoding.terms if t in used)
    patients = everyone(case_mix, spec)
    contrasts = load_contrasts().observations(spec, tables, patients, populations, terms)
    anchors = anchor_observations(spec, tables["anchors"], patients, populations, terms)
    carried = carried_over(spec, Evidence(spec, ArmReader(spec)), patients, populations, terms)
    chains = Chains(spec)
    settled: dict[str, Array] = {}
    outcomes: dict[str, OutcomePrior] = {}
    for group in chains.groups.values():
        block = Block(group, beliefs, terms, chains, settled)
        compared, levels = _told(carried, group)
        moving: list[Observation | Joint] = [*(o for o in contrasts if o.outcome in group), *compared]
        holding: list[Observation | Joint] = [*(o for o in anchors if o.outcome in group), *levels]
        posterior = block.fit(moving, holding, carried.between)
        settled |= {o: block.coefficients(posterior.mean)[o] for o in group}
        outcomes |= _outcome_priors(block, posterior, moving, holding)
    parameters = PriorParameters(
        evidence_digest=evidence_digest(),
        outcomes=tuple(outcomes[name] for name in spec.outcomes.names),
        case_mix=case_mix,
    )
    return level_intercepts(parameters, spec, [*anchors, *carried.levels.observations], patients.take(np.arange(256)))


def _told(carried: CarriedOver, group: Sequence[str]) -> tuple[list[Joint], list[Joint]]:
    """Comparisons and levels of the arms that speak to a group of outcomes."""
    own = {o: o for o in group if o in carried.between}
    if own:
        return [carried.contrasts.only(own)], [carried.levels.only(own)]
    near = {kind: outcome for outcome, kind in carried.also.items() if outcome in group}
    return ([carried.contrasts.only(near, CARRIED_OVER)] if near else []), []


def _outcome_priors(
    block: Block, posterior: Posterior, contrasts: Sequence[Observation | Joint], anchors: Sequence[Observation | Joint]
) -> dict[str, OutcomePrior]:
    priors: dict[str, OutcomePrior] = {}
    beliefs = [b for o in block.outcomes for b in block.beliefs[o]]
    effect = np.array([b.term != INTERCEPT for b in beliefs])
    pulls = [posterior.covariance @ (block.whitened(posterior.mean, o)[1] * effect).T for o in contrasts]
    for outcome in block.outcomes:
        place = block.place[outcome]
        covariance = posterior.covariance[place, place].copy()
        # Every hospital is a new study: how much levels differ between studies is added, not averaged away. What the
        # ancestors in the chain already carry is not added twice.
        carried = sum(posterior.between[a] ** 2 for a in block.chains.chain[outcome][1:2])
        own = max(posterior.between[outcome] ** 2 - carried, BETWEEN_HOSPITALS**2)
        intercept = [b.term for b in block.beliefs[outcome]].index(INTERCEPT)
        covariance[intercept, intercept] += own
        coefficients = []
        for j in range(place.start, place.stop):
            if effect[j]:
                # The variance is exactly the sum of what each belief and each contrast contributes to it.
                kept = posterior.covariance[j] ** 2 * block.precision0 * effect
                shares = [
                    (b.basis, b.studies if b is beliefs[j] else (), "", v) for b, v in zip(beliefs, kept, strict=True)
                ]
                for one, pull in zip(contrasts, pulls, strict=True):
                    shares += _shares(one, pull[j])
            else:
                shares = []
                for anchor in anchors:
                    if isinstance(anchor, Joint):
                        direction = np.array([float(o.outcome == outcome) for o in anchor.observations])
                        if direction.any():
                            pull = direction @ np.linalg.inv(anchor.whitening)
                            shares += _shares(anchor, pull / (pull @ pull))  # precision, as for single anchors
                    elif anchor.outcome == outcome:
                        shares.append((anchor.basis, anchor.studies, anchor.name, anchor.sd**-2))
            sd = float(np.sqrt(covariance[j - place.start, j - place.start]))
            coefficients.append(_coefficient(beliefs[j], float(posterior.mean[j]), sd, shares))
        rounded = np.round((covariance + covariance.T) / 2, 8)
        priors[outcome] = OutcomePrior(
            outcome=outcome, coefficients=tuple(coefficients), covariance=tuple(map(tuple, rounded.tolist()))
        )
    return priors


def _shares(seen: Observation | Joint, pull: Array) -> list[Share]:
    """Contributions of an observation to a variance, given its pull in units of its error, shape (m,)."""
    if isinstance(seen, Observation):
        return [(seen.basis, seen.studies, seen.name, float(pull[0]) ** 2)]
    total, direction = float(pull @ pull), pull @ seen.whitening
    if total < 1e-12:
        return []
    return [
        (basis, (study,) if study else (), ORIGIN, total * share)
        for (basis, study), share in seen.shares(direction).items()
    ]


def _coefficient(belief: Belief, mean: float, sd: float, shares: Sequence[Share]) -> Coefficient:
    """Put a coefficient together; `shares` are (basis, studies, name, contribution to the variance)."""
    total = sum(share for *_, share in shares)
    by_basis: dict[str, float] = {}
    for basis, _, _, share in shares:
        by_basis[basis] = by_basis.get(basis, 0.0) + share
    telling = [s for s in shares if s[3] >= TELLING * total]
    names = dict.fromkeys(name for _, _, name, _ in telling if name)
    note = belief.note if not names or belief.term == INTERCEPT else f"{belief.note}. From: {'; '.join(names)}"
    return Coefficient(
        term=belief.term,
        mean=round(mean, 6),
        sd=round(sd, 6),
        studies=tuple(dict.fromkeys((*belief.studies, *(study for _, part, _, _ in telling for study in part)))),
        basis=_mainly(by_basis),
        note=note,
    )


def _mainly(shares: Mapping[str, float]) -> str:
    """The basis that carries the most weight: judgement against what was published, then read against recalled."""
    judged = shares.get("judgement", 0.0)
    studied = {basis: share for basis, share in shares.items() if basis != "judgement"}
    if not studied or judged > sum(studied.values()):
        return "judgement"
    return max(studied, key=lambda basis: studied[basis])


def build_arm_effects(spec: Specification | None = None) -> ArmEffects:
    """Fit the meta-regression of arms that `build_prior_parameters` carries over to patients."""
    spec = spec or load_specification()
    return ArmEffects.of(Evidence(spec, ArmReader(spec)).full, evidence_digest())


def write_calibration(spec: Specification | None = None) -> Path:
    """Write how the arms compare with what other studies foretell; half a minute, for every study is left out once."""
    found = arm_calibration.build_calibration(spec or load_specification(), evidence_digest())
    path = Path(str(data_folder() / arm_calibration.COMMITTED))
    path.write_text(found.model_dump_json(exclude_none=True) + "\n", "utf-8")
    return path


def write_prior() -> Path:
    """Fit and write the committed files, one outcome a line."""
    effects = Path(str(data_folder() / ARM_EFFECTS))
    effects.write_text(build_arm_effects().model_dump_json() + "\n", "utf-8")
    parameters = build_prior_parameters()
    data = parameters.model_dump(mode="json")
    lines = ",\n".join(json.dumps(part) for part in data.pop("outcomes"))
    text = f'{json.dumps(data)[:-1]}, "outcomes": [\n{lines}\n]}}\n'
    path = Path(str(data_folder() / COMMITTED))
    path.write_text(text, "utf-8")
    write_calibration()
    return path


if __name__ == "__main__":
    print(f"wrote {write_prior()}")
