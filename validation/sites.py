"""The figures of each site that expectations judge: shares of an outcome, and of values in another unit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features import Field, Specification
from features.field import UnitSlip
from validation.rows import Rows

#: The row of the table that stands for the registry as a whole.
ALL = "all sites"
#: An outcome of one value is worth a warning where chance alone would give it less often than this (a judgement:
#: with 11 outcomes at 6 sites that is at most one false warning in three registries).
CHANCE = 0.005
#: Without another site to compare with, an outcome and its absence are each expected at least this often among
#: those to whom it could happen (a judgement; in CAIRO5 2.9% died, of the 15.6% with a major complication).
RAREST = 0.1
#: A column is taken to be in another unit when more than half of its values look so, and more than this share of
#: them beyond chance (a judgement: small metastases, under 25 mm, are a minority wherever the unit is right).
MOSTLY, ORDINARY, SURE = 0.5, 0.4, 0.01


def outcome_column(outcome: str) -> str:
    """Name of the column with an outcome's share."""
    return f"{outcome}.share"


def slip_column(field: Field, slip: UnitSlip) -> str:
    """Name of the column with the share of values that look as if written in another unit."""
    return f"{field.name}.in.{slip.unit}"


def read_sites(rows: Rows, spec: Specification) -> pd.DataFrame:
    """Make the table of sites: one row a site and one for all, and NaN where there are too few patients to tell."""
    sites = np.array([s if s is not None else "" for s in rows.sites], dtype=object)
    members: dict[str, np.ndarray] = {ALL: np.ones(rows.n, dtype=bool)}
    members |= {name: sites == name for name in sorted(set(sites)) if name}
    columns: dict[str, list[float]] = {}
    for name, answers in rows.happened.items():
        column = np.array([np.nan if a is None else float(a) for a in answers])
        columns[outcome_column(name)] = [_share(column[m], column[~m]) for m in members.values()]
    for field in spec.registry_fields:
        for slip in field.unit_slips if field.name in rows.table.columns else ():
            numbers = rows.table[field.name].to_numpy()
            columns[slip_column(field, slip)] = [_slipped(numbers[m], slip) for m in members.values()]
    return pd.DataFrame(columns, index=pd.Index(members, name="site"))


def in_unit(rows: Rows, field: Field, slip: UnitSlip, site: str) -> list[int]:
    """Positions of the rows of a site whose value looks as if written in another unit."""
    numbers = rows.table[field.name].to_numpy()
    inside = (numbers >= slip.suspect[0]) & (numbers <= slip.suspect[1])
    return [int(i) for i in np.flatnonzero(inside) if site == ALL or rows.sites[i] == site]


def told(rows: Rows, site: str) -> Mapping[str, int]:
    """How many patients of a site each outcome is known of."""
    here = [site == ALL or s == site for s in rows.sites]
    return {
        name: sum(h and a is not None for h, a in zip(here, answers, strict=True))
        for name, answers in rows.happened.items()
    }


def _share(here: np.ndarray, elsewhere: np.ndarray) -> float:
    here, elsewhere = here[~np.isnan(here)], elsewhere[~np.isnan(elsewhere)]
    if len(here) == 0:
        return np.nan
    share = float(here.mean())
    if 0 < share < 1:
        return share
    if len(elsewhere) == 0:
        chance = 1 - RAREST
    else:
        # Half an event and half a non-event are added, so that no share elsewhere counts as certain.
        expected = (elsewhere.sum() + 0.5) / (len(elsewhere) + 1)
        chance = expected if share == 1 else 1 - expected
    return share if chance ** len(here) < CHANCE else np.nan


def _slipped(numbers: np.ndarray, slip: UnitSlip) -> float:
    from scipy.stats import binom

    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) == 0:
        return np.nan
    inside = int(((numbers >= slip.suspect[0]) & (numbers <= slip.suspect[1])).sum())
    share = inside / len(numbers)
    by_chance = float(binom.sf(inside - 1, len(numbers), ORDINARY))
    return np.nan if share > MOSTLY and by_chance >= SURE else share
