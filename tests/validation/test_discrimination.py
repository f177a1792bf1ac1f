"""Discrimination and accuracy agree with R, and say why when they cannot be computed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from validation.discrimination import auroc, brier, log_loss, losses, placements, scaled_brier

GOLDEN = Path(__file__).parent / "golden"
PATIENTS = pd.read_csv(GOLDEN / "patients.csv")
FIGURES = json.loads((GOLDEN / "figures.json").read_text("utf-8"))
Y = PATIENTS["y"].to_numpy(float)


@pytest.mark.parametrize("model", ["a", "b"])
@pytest.mark.parametrize("metric", [auroc, brier, scaled_brier, log_loss], ids=lambda m: m.__name__)
def test_the_figure_is_the_one_that_another_implementation_gives(metric, model):
    golden = FIGURES[model][metric.__name__]
    assert metric(Y, PATIENTS[model].to_numpy()).value == pytest.approx(golden["value"], abs=1e-9), golden["by"]


@pytest.mark.parametrize("metric", [auroc, scaled_brier])
def test_one_outcome_value_only_gives_a_reason_instead_of_a_figure(metric):
    found = metric(np.ones(30), np.full(30, 0.5))
    assert found.value is None and "only one value" in (found.reason or "")


@pytest.mark.parametrize("metric", [auroc, brier, scaled_brier, log_loss])
def test_no_patients_give_a_reason_instead_of_a_figure(metric):
    assert metric(np.zeros(0), np.zeros(0)).reason == "no patients"


@pytest.mark.parametrize("model", ["a", "b"])
def test_placements_of_either_kind_average_to_the_area_with_ties(model):
    p = PATIENTS[model].to_numpy().round(2)
    placed, area = placements(Y, p), roc_auc_score(Y, p)
    assert placed[Y == 1].mean() == pytest.approx(area, abs=1e-12)
    assert placed[Y == 0].mean() == pytest.approx(area, abs=1e-12)


def test_patients_losses_average_to_the_log_loss():
    p = PATIENTS["a"].to_numpy()
    assert losses(Y, p).mean() == pytest.approx(log_loss(Y, p).value, abs=1e-12)


def test_a_certain_prediction_that_is_wrong_costs_much_but_not_infinity():
    assert 15 < losses(np.array([1.0]), np.array([0.0]))[0] < 25
