"""The evidence shows how published rates compare with what other studies foretell."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit

from training.evidence.arm_calibration import LEAST_STUDIES, arm_curve, build_calibration, load_calibration
from training.evidence.committed import load_parameters
from training.evidence.fit import evidence_digest


def rates_of(foretold, observed, study):
    return [
        SimpleNamespace(model=SimpleNamespace(predicted=p), observed=y, arm=SimpleNamespace(study=s))
        for p, y, s in zip(foretold, observed, study, strict=True)
    ]


@pytest.fixture
def arms():
    """Sixty arms of thirty studies, whose rates differ by study around what was foretold plus a shift."""

    def drawn(shift, seed=5):
        rng = np.random.default_rng(seed)
        foretold = rng.uniform(0.1, 0.8, 60)
        study = np.repeat(np.arange(30), 2)
        return foretold, expit(logit(foretold) + shift + rng.normal(0, 0.4, 30)[study]), study.astype(str)

    return drawn


def test_the_committed_curves_belong_to_the_committed_evidence(spec):
    committed = load_calibration(load_parameters().evidence_digest)
    assert committed is not None and committed.data_digest == evidence_digest()
    assert load_calibration("0" * 64) is None
    assert {"objective_response", "resection_12m", "r0_resection_12m"} == set(committed.curves)
    assert all(curve.studies >= LEAST_STUDIES for curve in committed.curves.values())
    assert "no patient with them" in committed.text and "not read again" in committed.text


@pytest.mark.slow
def test_the_committed_curves_are_those_that_the_data_give(spec):
    rebuilt, committed = build_calibration(spec, evidence_digest()), load_calibration(evidence_digest())
    assert rebuilt.text == committed.text, "run python -m training.evidence.fit"
    assert set(rebuilt.curves) == set(committed.curves)
    for name, curve in committed.curves.items():
        for part in ("predicted", "observed", "low", "high"):
            assert getattr(rebuilt.curves[name], part) == pytest.approx(getattr(curve, part), abs=5e-3)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_a_shift_of_all_rates_is_seen_in_the_line_and_within_its_band(arms, shift):
    curve = arm_curve(rates_of(*arms(shift)))
    true = expit(logit(np.array(curve.predicted)) + shift)
    assert (np.array(curve.low) <= true).all() and (true <= np.array(curve.high)).all()
    middle = len(curve.predicted) // 2
    if shift:
        assert curve.low[middle] > curve.predicted[middle]
    assert (curve.arms, curve.studies) == (60, 30)


def test_arms_of_one_study_count_as_less_than_as_many_studies(arms):
    foretold, observed, study = arms(0.0)
    together = arm_curve(rates_of(foretold, observed, study))
    apart = arm_curve(rates_of(foretold, observed, [str(i) for i in range(60)]))
    width = [np.mean(np.subtract(c.high, c.low)) for c in (together, apart)]
    assert width[0] > 1.1 * width[1]
    assert together.observed == apart.observed
