"""The benchmark of the contrasts: its truth is the simulator's, and its summary counts what it should."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.effects import invent, measure, summarise, true_arms
from training.effects.audit import balanced_folds_of, resolved
from training.effects.compared import compare
from training.effects.covariates import tabulate
from training.simulator import simulate


@pytest.fixture(scope="module")
def world(spec):
    return invent(spec, 31, 500, as_exported=False)


def test_its_patients_choices_and_chances_are_those_of_the_simulator(world, spec):
    registry, truth = simulate(spec, patients=500, seed=31, sites=6)
    assert registry["planned_backbone"].tolist() == [r.backbone for r in world.cohort.regimens]
    assert registry["site_id"].tolist() == world.cohort.site.tolist()
    assert [str(d) for d in registry["index_date"]] == world.cohort.index_date.astype(str).tolist()
    theirs = truth["conversion_12m"].to_numpy().reshape(500, -1)
    assert np.allclose(theirs, world.chance["conversion_12m"])


def test_the_true_chance_under_an_arm_lies_between_those_of_its_components(world, spec):
    table = tabulate(world.cohort, spec)
    pairs = compare(world.cohort, table, resolved(spec), balanced_folds_of(table))
    first, second, chance = true_arms(world, pairs[0], table.received, "conversion_12m")
    assert ((chance > 0) & (chance < 1)).all()
    keys = [r.key for r in spec.regimens.all()]
    for i in (0, 250, 499):
        biologic = world.cohort.regimens[i].biologic
        under = {b: world.chance["conversion_12m"][i, keys.index((b, biologic))] for b, _ in keys}
        doublets = [under[b] for b in ("folfox", "capox", "folfiri")]
        assert first[i] == pytest.approx(under["folfoxiri"])
        assert min(doublets) <= second[i] <= max(doublets)


@pytest.mark.slow
def test_intervals_cover_the_truth_where_what_decided_the_choice_is_recorded(spec):
    rows = pd.DataFrame([row for seed in range(900, 910) for row in measure(spec, seed, 3000, as_exported=False)])
    found = summarise(rows, []).iloc[0]
    # Ten registries of 42 correlated contrasts: the full benchmark has the narrow bounds.
    assert 88 <= found["aipw_coverage"] <= 100
    assert abs(found["aipw_bias"]) < 2
    assert found["crude_coverage"] < 75
