"""The evidence updated by a registry: each effect moves as far as the registry's size and its own doubt allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features import INTERCEPT, Specification
from training.bundle.coefficients import OutcomePrior, PriorParameters
from training.bundle.prior import Prior

Array = NDArray[np.float64]

# How far a hospital may differ from the published studies before its data are seen, on the log-odds scale.
# Judgement: CAIRO5, RAXO and LiverMetSurvey differ by about this much in rates of the same event.
HOSPITAL_SD = 0.5  # of the intercept
SLOPE_SD = 0.3  # of a common factor on all prognostic effects
# What unrecorded reasons for choosing a regimen may do to each regimen term seen in a registry. Two regimens differ in
# about six terms: a contrast is doubted by about 0.2 (odds ratio 1.2), however many observational patients there are.
CONFOUNDING_SD = 0.08
# What recording an outcome mainly when it is suspected may do to its rate: odds of being recorded two to three times
# higher with the outcome shift its log-odds by about 0.6 where 40% are recorded. Judgement.
SELECTION_SD = 0.6
_STEPS, _TOLERANCE = 50, 1e-8


@dataclass(frozen=True)
class Updated:
    """Posterior of one outcome's effects.

    Attributes
    ----------
    mean, covariance
        Over the prior's terms, shape (t,) and (t, t).
    shift
        How far each effect moved, in its own prior standard deviations, shape (t,).
    """

    mean: Array
    covariance: Array
    shift: Array

    def log_odds(self, terms: Array) -> Array:
        """Log-odds averaged over the posterior, shape (n,), for term values of shape (n, t).

        Uses MacKay's approximation of the logistic-normal mean (Neural Computation 1992;4:720).
        """
        variance = np.einsum("nt,tu,nu->n", terms, self.covariance, terms)
        return np.asarray(terms @ self.mean / np.sqrt(1.0 + np.pi * variance / 8.0))


def prior_moments(part: OutcomePrior, terms: tuple[str, ...]) -> tuple[Array, Array]:
    """Mean and covariance of an outcome's effects over a list of terms; zero where a term has no effect."""
    position = [terms.index(c.term) for c in part.coefficients]
    mean = np.zeros(len(terms))
    mean[position] = [c.mean for c in part.coefficients]
    covariance = np.zeros((len(terms), len(terms)))
    covariance[np.ix_(position, position)] = np.array(part.covariance)
    return mean, covariance


def updated_parameters(prior: Prior, updates: Mapping[str, Updated], keep_doubt: bool) -> PriorParameters:
    """Carry updated effects into a prior's parameters.

    Parameters
    ----------
    updates
        By outcome; an outcome that is absent stays as it is.
    keep_doubt
        Whether the covariance stays that of the evidence, so that only the means move.
    """

    def moved(part: OutcomePrior) -> OutcomePrior:
        updated = updates.get(part.outcome)
        if updated is None:
            return part
        position = [prior.terms.index(c.term) for c in part.coefficients]
        covariance = updated.covariance[np.ix_(position, position)]
        held = np.array(part.covariance) if keep_doubt else (covariance + covariance.T) / 2
        coefficients = tuple(
            c.model_copy(update={"mean": float(updated.mean[j]), "sd": float(np.sqrt(held[i, i]))})
            for i, (c, j) in enumerate(zip(part.coefficients, position, strict=True))
        )
        return OutcomePrior(
            outcome=part.outcome, coefficients=coefficients, covariance=tuple(map(tuple, held.tolist()))
        )

    return prior.parameters.model_copy(update={"outcomes": tuple(moved(p) for p in prior.parameters.outcomes)})


def update(
    mean: Array,
    covariance: Array,
    terms: tuple[str, ...],
    values: Array,
    y: Array,
    spec: Specification,
    selectively_recorded: bool = False,
) -> Updated:
    """Update an outcome's effects by patients.

    A Gaussian prior is combined with the binomial likelihood by Laplace's method. Before the data are seen the
    intercept is widened by `HOSPITAL_SD` and the prognostic effects by a common slope of `SLOPE_SD`, so that a
    recalibration is the cheapest thing to learn. Effects that involve the regimen are seen through confounding of
    `CONFOUNDING_SD`, which stays out of the answer.

    Parameters
    ----------
    mean, covariance
        Evidence, shape (t,) and (t, t).
    values, y
        Term values, shape (n, t), and the outcome, shape (n,).
    selectively_recorded
        See `features.Outcome`; the rate is then seen through a shift of `SELECTION_SD`, which stays out as well.
    """
    regimen = np.array([spec.encoding.terms[t][1] is not None for t in terms])
    widened = covariance.copy()
    intercept = terms.index(INTERCEPT)
    widened[intercept, intercept] += HOSPITAL_SD**2
    prognostic = np.where(regimen, 0.0, mean)
    prognostic[intercept] = 0.0
    # The slope turns about the mean patient, so that it does not move the overall rate.
    prognostic[intercept] = -float(values.mean(axis=0) @ prognostic)
    widened += SLOPE_SD**2 * np.outer(prognostic, prognostic)
    root = _root(widened)
    bias = np.where(regimen & (np.diag(covariance) > 0), CONFOUNDING_SD, 0.0)
    bias[intercept] = SELECTION_SD if selectively_recorded else 0.0
    design = values @ np.hstack([root, np.diag(bias)[:, bias > 0]])
    u, hessian = _mode(design, values @ mean, y)
    spread = np.linalg.inv(hessian)[: root.shape[1], : root.shape[1]]
    posterior = mean + root @ u[: root.shape[1]]
    sd = np.sqrt(np.clip(np.diag(widened), 1e-12, None))
    return Updated(posterior, root @ spread @ root.T, (posterior - mean) / sd)


def _mode(design: Array, offset: Array, y: Array) -> tuple[Array, Array]:
    """Posterior mode of standard-normal coefficients by Newton's method with step halving, and its Hessian."""
    u = np.zeros(design.shape[1])
    value = _objective(u, design, offset, y)
    for _ in range(_STEPS):
        p = expit(offset + design @ u)
        gradient = design.T @ (y - p) - u
        hessian = np.eye(len(u)) + (design * (p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (moved := _objective(u + size * step, design, offset, y)) < value and size > 1e-4:
            size /= 2
        u = u + size * step
        if moved - value < _TOLERANCE:
            break
        value = moved
    p = expit(offset + design @ u)
    return u, np.eye(len(u)) + (design * (p * (1 - p))[:, None]).T @ design


def _objective(u: Array, design: Array, offset: Array, y: Array) -> float:
    eta = offset + design @ u
    return float(np.sum(y * eta - np.logaddexp(0.0, eta)) - 0.5 * u @ u)


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-10
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
