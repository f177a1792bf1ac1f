"""Penalised logistic regression on patient factors, regimen terms and missing indicators."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bundle.learned import LogisticParameters, save_logistic
from training.encoded import Encoded
from training.learners.candidate import Fit, Rows

Array = NDArray[np.float64]
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)  # inverse strength of the ridge penalty, on standardised columns


def fit(encoded: Encoded, outcome: str, rows: Rows) -> Fit:
    """Fit a ridge logistic regression, its strength chosen by cross-validated log loss.

    A missing patient factor takes the median of the training rows, and has an indicator of its own.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    size = len(encoded.factors)
    fill = _medians(encoded.patient_part[rows])
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    ridge = LogisticRegressionCV(
        Cs=PENALTIES,
        cv=3,
        solver="newton-cholesky",
        scoring="neg_log_loss",
        max_iter=500,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    pipeline = Pipeline(
        [
            ("fill", ColumnTransformer([("patient", impute, slice(0, size))], remainder="passthrough")),
            ("scale", StandardScaler()),
            ("ridge", ridge),
        ]
    )
    pipeline.fit(_inputs(encoded, fill)[rows], encoded.outcomes[outcome][rows])
    return Fit(
        log_odds=lambda data: np.asarray(pipeline.decision_function(_inputs(data, fill))),
        file=f"{outcome}.logistic.json",
        write=partial(save_logistic, parameters=_in_our_units(pipeline, encoded, fill)),
        notes=(("ridge_c", float(pipeline.named_steps["ridge"].C_)),),
    )


def _medians(part: Array) -> Array:
    known = ~np.isnan(part)
    return np.array([np.median(c[k]) if k.any() else 0.0 for c, k in zip(part.T, known.T, strict=True)])


def _inputs(encoded: Encoded, fill: Array) -> Array:
    patient = np.where(np.isnan(encoded.patient_part), fill, encoded.patient_part)
    return np.hstack([encoded.prognosis, patient * encoded.regimen_part])


def _in_our_units(pipeline: Any, encoded: Encoded, fill: Array) -> LogisticParameters:
    # The scaler is folded into the coefficients, so that serving needs neither it nor scikit-learn.
    scaler, ridge = pipeline.named_steps["scale"], pipeline.named_steps["ridge"]
    imputer = pipeline.named_steps["fill"].named_transformers_["patient"]
    weight = ridge.coef_[0] / scaler.scale_
    size, indicated = len(encoded.factors), [encoded.factors[i] for i in imputer.indicator_.features_]
    behind = [encoded.spec.encoding.terms[t][0] for t in encoded.terms]
    medians = {f: m for f, m in zip(behind, fill.tolist(), strict=True) if f is not None}
    medians |= dict(zip(encoded.factors, imputer.statistics_.tolist(), strict=True))
    return LogisticParameters(
        intercept=float(ridge.intercept_[0] - weight @ scaler.mean_),
        terms=(*encoded.factors, *encoded.terms),
        coefficients=(*weight[:size].tolist(), *weight[size + len(indicated) :].tolist()),
        medians=medians,
        missing=dict(zip(indicated, weight[size : size + len(indicated)].tolist(), strict=True)),
    )
