from dataclasses import replace

import numpy as np
import pytest

from training.effects.recorded import recorded


def by_name(cohort, spec):
    return {r.name: r for r in recorded(cohort, spec)}


def test_only_outcomes_of_everyone_started_are_contrasted(many, spec):
    found = by_name(many, spec)
    conditional = {o.name for o in spec.outcomes.outcomes if o.given is not None}
    assert not conditional & set(found)
    assert {"conversion_12m", "resected_with_major_complication"} <= set(found)


def test_those_not_resected_count_as_without_a_major_complication_of_it(many, spec):
    found = by_name(many, spec)["resected_with_major_complication"]
    not_resected = many.outcomes["resection_12m"] == 0
    assert (found.y[not_resected] == 0).all()
    assert (found.weight[not_resected] == 1).all()


def test_the_two_states_of_the_resected_add_up_to_resection(many, spec):
    found = by_name(many, spec)
    both = found["resected_with_major_complication"].y + found["resected_without_major_complication"].y
    known = ~np.isnan(both)
    assert (both[known] == many.outcomes["resection_12m"][known]).all()


def test_the_resected_with_a_record_stand_for_those_without(many, spec):
    found = by_name(many, spec)["resected_with_major_complication"]
    resection, major = many.outcomes["resection_12m"], many.outcomes["major_complication"]
    assert 0.02 < np.isnan(major[resection == 1]).mean() < 0.4
    share = (found.weight * (resection == 1)).sum() / found.weight.sum()
    assert share == pytest.approx(np.nanmean(resection), abs=0.005)
    rate = np.average(np.nan_to_num(found.y), weights=found.weight)
    assert rate == pytest.approx(np.nanmean(resection) * np.nanmean(major), abs=0.01)
    complete_cases = np.nanmean(np.where(resection == 0, 0, np.where(resection == 1, major, np.nan)))
    assert complete_cases < rate


def test_an_outcome_that_is_nowhere_recorded_is_left_out(many, spec):
    blank = replace(many, outcomes={**many.outcomes, "objective_response": np.full(many.patients.n, np.nan)})
    assert "objective_response" not in by_name(blank, spec)
