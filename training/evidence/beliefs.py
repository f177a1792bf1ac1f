"""Starting values: what is believed of every effect before the published comparisons are weighed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features import INTERCEPT, Specification
from training.evidence.tables import Table


@dataclass(frozen=True)
class Belief:
    """One effect, on the log-odds scale per unit of its term as encoded."""

    term: str
    mean: float
    sd: float
    basis: str
    studies: tuple[str, ...]
    note: str


def read_beliefs(table: Table, spec: Specification, known_studies: frozenset[str]) -> Mapping[str, tuple[Belief, ...]]:
    """Read effects.csv by outcome, terms in the order of the encoding.

    Raises
    ------
    ValueError
        Naming every row that does not fit the specification, and every outcome without an intercept.
    """
    terms = list(spec.encoding.terms)
    found: dict[str, list[Belief]] = {name: [] for name in spec.outcomes.names}
    faults: list[str] = []
    for number, row in enumerate(table.rows, start=2):
        outcome, term = str(row["outcome"]), str(row["term"])
        studies = tuple(str(row["studies"]).split(";")) if row["studies"] else ()
        stray = [s for s in studies if s not in known_studies]
        if outcome not in found:
            faults.append(f"{table.name}, row {number}, column outcome: unknown outcome {outcome}")
        elif term not in terms:
            faults.append(f"{table.name}, row {number}, column term: unknown term {term}")
        elif stray:
            faults.append(f"{table.name}, row {number}, column studies: {', '.join(stray)} in no table")
        elif not float(row["sd"] or 0) > 0:
            faults.append(f"{table.name}, row {number}, column sd: must be above 0")
        else:
            found[outcome].append(
                Belief(
                    term, float(row["mean"] or 0), float(row["sd"] or 0), str(row["basis"]), studies, str(row["note"])
                )
            )
    faults += [
        f"{table.name}: outcome {name} has no {INTERCEPT}"
        for name, beliefs in found.items()
        if INTERCEPT not in {b.term for b in beliefs}
    ]
    if faults:
        raise ValueError("\n".join(faults))
    return {name: tuple(sorted(beliefs, key=lambda b: terms.index(b.term))) for name, beliefs in found.items()}
