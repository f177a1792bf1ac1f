"""The meta-regression of arms: an approximation that is right, and effects that come from within studies."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit

from training.evidence.arm_effects import load_arm_effects
from training.evidence.arms import ArmReader, Rate
from training.evidence.fit import build_arm_effects, evidence_digest
from training.evidence.held_out import Evidence
from training.evidence.meta_regression import Count, Design, MetaRegression


@pytest.fixture(scope="module")
def evidence(spec):
    return Evidence(spec, ArmReader(spec))


def test_the_committed_effects_are_those_that_the_data_give(spec):
    committed, rebuilt = load_arm_effects(), build_arm_effects(spec)
    assert committed.evidence_digest == rebuilt.evidence_digest == evidence_digest()
    assert (committed.names, committed.counts) == (rebuilt.names, rebuilt.counts)
    np.testing.assert_allclose(committed.mean, rebuilt.mean, atol=5e-3, err_msg="run python -m training.evidence.fit")
    np.testing.assert_allclose(committed.covariance, rebuilt.covariance, atol=5e-3)


def test_the_latent_mode_is_a_mode(evidence):
    fit = evidence.full
    inverse = np.linalg.inv(fit.covariance)

    def joint(f):
        gap = f - fit.prior_mean
        return float(fit.events @ f - fit.sizes @ np.logaddexp(0, f) - 0.5 * gap @ inverse @ gap)

    assert np.abs(approx_fprime(fit.latent.at, joint, 1e-5)).max() < 0.05
    p = expit(fit.latent.at)
    np.testing.assert_allclose(fit.latent.root**2, fit.sizes * p * (1 - p), rtol=1e-3)


def test_without_counts_predictions_are_the_beliefs(evidence):
    arm = evidence.arms[0]
    nothing = MetaRegression(
        evidence.design, [Count(arm, Rate("response", 0.5, 1), 1e-9)], start=evidence.full.hyper, fixed=True
    )
    mean, covariance = nothing.parameters()
    np.testing.assert_allclose(mean, evidence.design.mean, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), evidence.design.sd, rtol=1e-6)


def test_randomised_arms_inform_an_effect_more_than_the_same_arms_in_two_studies(evidence):
    arms = [a for a in evidence.arms if a.study == "tribe" and a.arm in ("bev_folfiri", "bev_folfoxiri")]
    loading = np.array([e.name == "a third drug" for e in evidence.design.columns], dtype=float)

    def spread(own):
        counts = [Count(a, r, 250.0) for a in own for r in a.rates if r.kind == "response"]
        fit = MetaRegression(evidence.design, counts, start=evidence.full.hyper, fixed=True)
        start = len(evidence.design.kinds)
        covariance = fit.parameters()[1][start : start + len(loading), start : start + len(loading)]
        return float(loading @ covariance @ loading)

    apart = [replace(a, study=f"study {i}") for i, a in enumerate(arms)]
    assert spread(arms) < spread(apart)


def test_response_alone_moves_what_is_foretold_of_surgery(evidence):
    arm = next(a for a in evidence.arms if a.key == "tribe/bev_folfoxiri")
    foretold = []
    for observed in (0.3, 0.9):
        count = Count(arm, Rate("response", observed, 300), 300.0)
        fit = MetaRegression(evidence.design, [count], start=evidence.full.hyper, fixed=True)
        foretold.append(fit.predict([replace(arm, study="another")], ["surgery"])[0][0])
    assert foretold[1] > foretold[0] + 0.1


def test_studies_differ_more_where_resectability_is_loosely_defined(evidence):
    strict, loose = (
        next(a for a in evidence.arms if a.key == key)
        for key in ("tricc0808/bev_mfolfox6_unresectable", "tricc0808/bev_mfolfox6_advanced_resectable")
    )
    groups = evidence.full._groups([strict, loose], np.array([1, 1]), evidence.full.hyper)
    assert groups[1, 1] > groups[0, 0]


def test_the_design_knows_complete_removal_as_a_part_of_surgery(evidence):
    design = evidence.design
    assert isinstance(design, Design)
    rows = design.rows(np.zeros((4, len(design.columns))), np.arange(4), 0.6)
    levels = rows[:, :4].tolist()
    assert levels == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
