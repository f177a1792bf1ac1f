"""Rows of the tables become log odds ratios, and several of them one."""

import math

import numpy as np
import pytest

from training.evidence.effect_size import LEAST_HETEROGENEITY, RECALLED, EffectSize, Source, pool
from training.evidence.tables import load_tables


@pytest.fixture(scope="module")
def tables():
    return load_tables()


def test_counts_give_the_odds_ratio_and_woolf_error(tables):
    size = Source(
        table="conversion_arms", study="ye2013", exposed="cet_doublet", control="doublet", measure="r0"
    ).effect_size(tables)
    assert size.value == pytest.approx(math.log(18 / 52 / (5 / 63)))
    assert size.sd == pytest.approx(math.sqrt(1 / 18 + 1 / 52 + 1 / 5 + 1 / 63))


def test_a_percentage_stands_in_for_a_missing_count(tables):
    size = Source(
        table="conversion_arms", study="falcone2007", exposed="folfoxiri", control="folfiri", measure="response"
    ).effect_size(tables)
    assert size.value == pytest.approx(math.log(66 / 34 / (41 / 59)))


def test_a_printed_interval_gives_the_error(tables):
    size = Source(table="liver_injury", study="volk2016", where={"lesion": "sinusoidal_obstruction_syndrome"})
    assert size.effect_size(tables).value == pytest.approx(math.log(0.5))
    assert size.effect_size(tables).sd == pytest.approx(math.log(0.67 / 0.37) / 3.92, rel=1e-3)


def test_a_risk_ratio_needs_the_risk_among_controls(tables):
    where = {"predictor": "ras_mutant"}
    source = Source(table="conversion_predictors", study="wang2016", where=where, baseline=45)
    p = 0.91 * 0.45
    assert source.effect_size(tables).value == pytest.approx(math.log(p / (1 - p) / (0.45 / 0.55)))
    with pytest.raises(ValueError, match="baseline"):
        Source(table="conversion_predictors", study="wang2016", where=where).effect_size(tables)


def test_a_number_needed_to_harm_is_a_risk_difference(tables):
    source = Source(
        table="liver_injury",
        study="robinson2012",
        where={"lesion": "steatohepatitis", "effect_type": "number_needed_to_harm"},
        baseline=4,
    )
    assert source.effect_size(tables).value == pytest.approx(
        math.log((0.04 + 1 / 12) / (1 - 0.04 - 1 / 12) / (0.04 / 0.96))
    )


def test_a_p_value_stands_in_for_an_interval_and_without_either_the_row_is_refused(tables):
    where = {"predictor": "right_sided", "outcome": "response"}
    source = Source(table="conversion_predictors", study="yamashita2018", where=where, p_value=0.01, invert=True)
    size = source.effect_size(tables)
    assert size.value == pytest.approx(-math.log(1.55))
    assert abs(size.value) / size.sd == pytest.approx(2.5758, abs=1e-3)
    with pytest.raises(ValueError, match="give p_value or se"):
        Source(table="conversion_predictors", study="yamashita2018", where=where).effect_size(tables)


def test_a_recalled_row_carries_less_weight_and_says_so(tables):
    source = Source(
        table="conversion_arms", study="tribe", exposed="bev_folfoxiri", control="bev_folfiri", measure="response"
    )
    size = source.effect_size(tables)
    cells = [0.651 * 252, 0.349 * 252, 0.531 * 256, 0.469 * 256]
    assert size.sd == pytest.approx(RECALLED * math.sqrt(sum(1 / c for c in cells)))
    assert size.basis == "unverified"


def test_an_unknown_study_is_refused(tables):
    with pytest.raises(LookupError, match="study_id = nobody1999"):
        Source(table="liver_injury", study="nobody1999").effect_size(tables)


def sizes(*values: float, sd: float = 0.2, basis: str = "published") -> list[EffectSize]:
    return [EffectSize(v, sd, basis, (f"study{i}",)) for i, v in enumerate(values)]


def test_conflicting_studies_widen_the_interval():
    assert pool(sizes(0.5, 0.5)).sd < pool(sizes(0.1, 0.9)).sd < pool(sizes(-0.5, 1.5)).sd
    assert pool(sizes(-0.5, 1.5)).value == pytest.approx(0.5)


def test_heterogeneity_is_that_of_paule_and_mandel():
    # The estimate is the variance at which the weighted squared deviations equal their degrees of freedom.
    values, variance = np.array([0.1, 0.6, 1.4, -0.2]), 0.04
    pooled = pool(sizes(*values))
    weights = 1 / (variance + pooled.heterogeneity**2)
    assert (weights * (values - values.mean()) ** 2).sum() == pytest.approx(3, abs=1e-3)


def test_even_one_study_leaves_room_for_the_next_hospital():
    assert pool(sizes(0.5)).sd == pytest.approx(math.hypot(0.2, LEAST_HETEROGENEITY))


def test_a_judged_range_is_taken_as_it_is():
    assert pool(sizes(0.5, basis="judgement")).sd == pytest.approx(0.2)


def test_a_pool_that_rests_mainly_on_recalled_rows_says_unverified():
    heavy, light = EffectSize(0.5, 0.1, "unverified", ("a",)), EffectSize(0.5, 0.5, "published", ("b",))
    assert pool([heavy, light]).basis == "unverified"
    assert pool([EffectSize(0.5, 0.1, "published", ("a",)), EffectSize(0.5, 0.5, "unverified", ("b",))]).basis == (
        "published"
    )
