"""Meta-regression: counts of trial arms under binomial likelihoods, with effects of studies and arms.

The log-odds of response, surgery, complete removal and R0 are one latent Gaussian vector: effects of the arm's
design, population and regimen, an effect of the study and one of the arm. Effects of regimens on surgery are a slope
times those on response (Folprecht 2005) plus a part of their own; complete removal and R0 deviate from surgery. Because
every outcome has an effect of the study, regimens are told apart mainly by differences within studies, that is by
randomisation. The posterior is Laplace's approximation; standard deviations and the slope are at their mode given the
data (Rasmussen and Williams 2006, algorithms 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

from training.evidence.arms import Arm, Rate
from training.evidence.effect_size import RECALLED
from training.evidence.vocabulary import Covariate, Effect, Vocabulary

Array = NDArray[np.float64]
_NEWTON, _SETTLED = 40, 1e-9


@dataclass(frozen=True)
class Count:
    """One rate of one arm, with the patients that count here (overlap taken out, recalled ones discounted)."""

    arm: Arm
    rate: Rate
    size: float

    @property
    def events(self) -> float:
        """Patients with the event, not necessarily whole."""
        return self.rate.observed * self.size


class Design:
    """Latent log-odds of arms as linear functions of independent parameters, given the hyperparameters."""

    def __init__(self, vocabulary: Vocabulary, terms: Sequence[str]) -> None:
        self.vocabulary = vocabulary
        self.kinds = [k.name for k in vocabulary.kinds]
        self.sums = np.array([[e.terms.get(t, 0.0) for t in terms] for e in vocabulary.effects])
        self.columns: tuple[Covariate | Effect, ...] = (*vocabulary.covariates, *vocabulary.effects)
        levels, inner = vocabulary.levels, self.kinds[2:]
        self.mean = np.array(
            [levels[k][0] for k in self.kinds]
            + [c.response[0] for c in self.columns]
            + [c.surgery[0] for c in self.columns]
            + [0.0] * (len(self.columns) * len(inner))
        )
        self.sd = np.array(
            [levels[k][1] for k in self.kinds]
            + [c.response[1] for c in self.columns]
            + [c.surgery[1] for c in self.columns]
            + [vocabulary.deviation * c.surgery[1] for _ in inner for c in self.columns]
        )

    def values(self, arm: Arm) -> Array:
        """Value of each covariate and effect for an arm."""
        return np.concatenate([arm.covariates, self.sums @ arm.terms])

    def rows(self, values: Array, kinds: NDArray[np.intp], slope: float) -> Array:
        """Loadings (n, p) of latent log-odds on the parameters; `values` (n, q), `kinds` (n,) positions."""
        n = len(values)
        linked = np.array([c.linked for c in self.columns])
        level = np.zeros((n, len(self.kinds)))
        level[:, 1] = kinds >= 1  # surgery is the level that complete removal and R0 are told apart from
        level[np.arange(n), kinds] = 1.0
        response = np.where((kinds == 0)[:, None], values, values * (slope * linked))
        surgery = values * (kinds >= 1)[:, None]
        inner = [values * (kinds == k)[:, None] for k in range(2, len(self.kinds))]
        return np.hstack([level, response, surgery, *inner])


@dataclass(frozen=True)
class Latent:
    """Mode and curvature of the latent log-odds (Laplace)."""

    at: Array
    alpha: Array
    root: Array  # square root of the observed information, W^(1/2)
    lower: Array  # Cholesky factor of I + W^(1/2) K W^(1/2)
    evidence: float


class MetaRegression:
    """A fit to counts.

    Parameters
    ----------
    counts
        What the fit rests on.
    start
        Hyperparameters to start from, on the log scale; None starts from their prior medians.
    """

    def __init__(
        self, design: Design, counts: Sequence[Count], start: Array | None = None, fixed: bool = False
    ) -> None:
        self.design, self.counts = design, list(counts)
        self.values = np.array([design.values(c.arm) for c in counts])
        self.kinds = np.array([design.kinds.index(c.rate.kind) for c in counts])
        self.events, self.sizes = np.array([c.events for c in counts]), np.array([c.size for c in counts])
        prior = design.vocabulary.hyper
        self._prior = np.log([m for m, _ in prior.values()]), np.array([s for _, s in prior.values()])
        self._warm: Array | None = None
        self.hyper = self._prior[0] if start is None else start
        if not fixed:
            self.hyper = self._search(self.hyper)
        self.covariance, self.prior_mean = self._latent_prior(self.hyper)
        self.latent = self._laplace(self.covariance, self.prior_mean)

    @property
    def named(self) -> Mapping[str, float]:
        """Hyperparameters by name, natural scale."""
        return dict(zip(self.design.vocabulary.hyper, np.exp(self.hyper).tolist(), strict=True))

    def parameters(self) -> tuple[Array, Array]:
        """Posterior mean (p,) and covariance (p, p) of the parameters of the design."""
        loadings = self.design.rows(self.values, self.kinds, self.named["slope"]) * self.design.sd
        return self._posterior(loadings * self.design.sd, np.diag(self.design.sd**2), self.design.mean)

    def predict(self, arms: Sequence[Arm], kinds: Sequence[str]) -> tuple[Array, Array]:
        """Latent log-odds of new arms in studies of their own, with covariance.

        Returns
        -------
        (m,) and (m, m) arrays
            One entry per pair of arm and kind; arms of one study share its effect.
        """
        values = np.array([self.design.values(a) for a in arms])
        positions = np.array([self.design.kinds.index(k) for k in kinds])
        slope = self.named["slope"]
        new = self.design.rows(values, positions, slope) * self.design.sd
        old = self.design.rows(self.values, self.kinds, slope) * self.design.sd
        within = new @ new.T + self._groups(arms, positions, self.hyper)
        return self._posterior(old @ new.T, within, self.design.rows(values, positions, slope) @ self.design.mean)

    def predict_with_sources(self, arms: Sequence[Arm], kinds: Sequence[str]) -> tuple[Array, Array, Array, Array]:
        """Mean log-odds of such arms over studies, and where they come from.

        Returns
        -------
        mean (m,), posterior (m, m) and prior covariance (m, m), pull (m, n)
            The pull of each count is its weight in the mean times its sampling error.
        """
        values = np.array([self.design.values(a) for a in arms])
        positions = np.array([self.design.kinds.index(k) for k in kinds])
        slope = self.named["slope"]
        new = self.design.rows(values, positions, slope) * self.design.sd
        old = self.design.rows(self.values, self.kinds, slope) * self.design.sd
        within = new @ new.T
        cross = old @ new.T
        mean, after = self._posterior(cross, within, self.design.rows(values, positions, slope) @ self.design.mean)
        root = self.latent.root[:, None]
        weights = root * cho_solve((self.latent.lower, True), root * cross)
        return mean, after, within, weights.T / self.latent.root

    def between(self, kind: str) -> float:
        """Standard deviation of a kind's level between randomised studies, log odds."""
        position = self.design.kinds.index(kind)
        h = self.named
        carried = h["response_study"] * (h["slope"] if position else 1.0)
        own = [h["surgery_study"]] if position else []
        own += [h[f"{kind}_study"]] if position > 1 else []
        return float(np.sqrt(carried**2 + sum(x**2 for x in own)))

    def _posterior(self, cross: Array, within: Array, mean: Array) -> tuple[Array, Array]:
        part = solve_triangular(self.latent.lower, self.latent.root[:, None] * cross, lower=True)
        return mean + cross.T @ self.latent.alpha, within - part.T @ part

    def _groups(self, arms: Sequence[Arm], kinds: NDArray[np.intp], hyper: Array) -> Array:
        """Covariance (m, m) by shared study and shared arm."""
        h = dict(zip(self.design.vocabulary.hyper, np.exp(hyper), strict=True))
        study = np.array([a.study for a in arms])
        key = np.array([a.key for a in arms])
        spread = np.where([a.randomised for a in arms], 1.0, h["unrandomised"])
        loose = np.array([c.loose for c in self.design.vocabulary.covariates])
        vague = np.array([a.covariates[loose].max(initial=0.0) for a in arms])
        spread = spread * np.where((kinds >= 1) & (vague > 0), h["loose"], 1.0)
        response = np.where(kinds == 0, 1.0, h["slope"])
        surgery = (kinds >= 1).astype(float)
        between = h["response_study"] ** 2 * np.outer(response, response)
        between += h["surgery_study"] ** 2 * np.outer(surgery, surgery)
        for k, name in enumerate(self.design.kinds[2:], start=2):
            own = (kinds == k).astype(float)
            between += h[f"{name}_study"] ** 2 * np.outer(own, own)
        within = h["response_arm"] ** 2 * np.outer(response, response)
        within += h["surgery_arm"] ** 2 * np.outer(surgery, surgery)
        return between * np.outer(spread, spread) * (study[:, None] == study) + within * (key[:, None] == key)

    def _latent_prior(self, hyper: Array) -> tuple[Array, Array]:
        slope = float(np.exp(hyper[list(self.design.vocabulary.hyper).index("slope")]))
        rows = self.design.rows(self.values, self.kinds, slope)
        scaled = rows * self.design.sd
        return scaled @ scaled.T + self._groups(
            [c.arm for c in self.counts], self.kinds, hyper
        ), rows @ self.design.mean

    def _laplace(self, covariance: Array, mean: Array) -> Latent:
        f = mean.copy() if self._warm is None else self._warm
        identity = np.eye(len(f))
        best = -np.inf
        alpha = np.zeros_like(f)
        for _ in range(_NEWTON):
            p = expit(f)
            root = np.sqrt(self.sizes * p * (1 - p)) + 1e-9
            lower = cholesky(identity + root[:, None] * covariance * root, lower=True)
            b = root**2 * (f - mean) + self.events - self.sizes * p
            wanted = b - root * cho_solve((lower, True), root * (covariance @ b))
            step = 1.0
            while True:
                tried = alpha + step * (wanted - alpha) if np.isfinite(best) else wanted
                at = covariance @ tried + mean
                value = float(self.events @ at - self.sizes @ np.logaddexp(0, at) - 0.5 * tried @ (at - mean))
                if value >= best - 1e-10 or step < 1e-3:
                    break
                step /= 2
            gained, best, f, alpha = value - best, value, at, tried
            if gained < _SETTLED:
                break
        self._warm = f
        return Latent(f, alpha, root, lower, best - float(np.log(np.diag(lower)).sum()))

    def _loss(self, hyper: Array) -> float:
        medians, sds = self._prior
        return float(0.5 * (((hyper - medians) / sds) ** 2).sum() - self._laplace(*self._latent_prior(hyper)).evidence)

    def _search(self, start: Array) -> Array:
        found = minimize(self._loss, start, method="L-BFGS-B", options={"maxiter": 40, "ftol": 1e-7, "eps": 1e-4})
        return np.asarray(found.x)


def counts_of(arms: Sequence[Arm], vocabulary: Vocabulary) -> list[Count]:
    """Rates with the patients that count: those of a part are taken out of what contains it.

    A rate of unknown size counts as one of the median size, and not at all where its parts are among the arms.
    """
    known = [rate.size for arm in arms for rate in arm.rates if rate.size]
    usual = float(np.median(known)) if known else 1.0
    reported = {(arm.key, rate.kind): float(rate.size or usual) for arm in arms for rate in arm.rates}
    columns = {k.name: k.column for k in vocabulary.kinds}
    found: list[Count] = []
    for arm in arms:
        for rate in arm.rates:
            inside = [
                size
                for (key, kind), size in reported.items()
                if key in vocabulary.contains.get(arm.key, ()) and columns[kind] == columns[rate.kind]
            ]
            size = 0.0 if rate.size is None and inside else float(rate.size or usual) - sum(inside)
            if size >= 1:
                found.append(Count(arm, rate, size / RECALLED**2 if arm.recalled else size))
    return found


def without(arms: Sequence[Arm], left_out: frozenset[str]) -> list[Arm]:
    """Arms of studies that are not left out."""
    return [a for a in arms if a.study not in left_out]


def without_recalled(arms: Sequence[Arm]) -> list[Arm]:
    """Arms whose numbers were read at their source."""
    return [replace(a) for a in arms if not a.recalled]
