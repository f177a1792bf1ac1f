import json
from dataclasses import replace

import numpy as np
import pytest

from training.effects import RegimenEffects, audit
from training.effects.audit import balanced_folds_of
from training.effects.covariates import Arms, tabulate
from training.effects.declared import RegimenPart, components, labels
from training.effects.outcome_model import ridge_logistic
from training.effects.panels import panels
from training.effects.plots import forest, propensities, selection
from training.effects.wording import beside_evidence
from validation.aipw import Estimate


def outcome(effects, contrast, name):
    return next(o for o in effects.contrast(contrast).outcomes if o.outcome == name)


def test_every_declared_contrast_is_answered_or_says_why_not(effects):
    assert len(effects.contrasts) == 6
    for contrast in effects.contrasts:
        assert contrast.overlap.verdict
        for figures in contrast.outcomes:
            for estimate in (figures.crude, figures.aipw, figures.overlap_weighted, figures.g_computation):
                assert (estimate.value is None) == (estimate.reason is not None)
                if estimate.value is not None:
                    assert estimate.low <= estimate.value <= estimate.high


def test_adjustment_removes_part_of_what_indication_adds(effects):
    # The fit are given triplets, so the crude contrast flatters them.
    found = outcome(effects, "triplet_against_doublet", "resection_12m")
    assert found.overlap_weighted.value < found.crude.value - 0.03
    assert found.aipw.low < found.g_computation.value < found.aipw.high + 0.1


def test_overlap_weights_give_the_steadier_estimate(effects):
    for contrast in effects.contrasts:
        for figures in contrast.outcomes:
            if figures.aipw.value is not None:
                assert figures.overlap_weighted.se < figures.aipw.se * 1.05


def test_the_served_model_and_the_evidence_agree_when_they_are_the_same(effects):
    found = outcome(effects, "bevacizumab_against_none", "conversion_12m")
    assert found.g_computation == found.evidence


def test_headline_contrasts_carry_an_e_value(effects):
    for figures in effects.contrast("triplet_against_doublet").outcomes:
        assert (figures.e_value is not None) == figures.headline


def test_the_estimand_names_arms_patients_and_what_stays_as_received(effects):
    words = effects.contrast("anti_egfr_against_none").estimand
    for part in ("RAS wild-type", "an anti-EGFR antibody", "no antibody", "chemotherapy", "planned weeks"):
        assert part in words
    assert "associations" in effects.estimand


def test_simulated_patients_are_called_so_first(effects):
    assert "simulated" in effects.warnings[0]


def test_the_audit_survives_json(effects):
    assert RegimenEffects.model_validate_json(effects.model_dump_json()) == effects
    assert "NaN" not in json.dumps(effects.model_dump(mode="json"))


def test_too_few_patients_are_not_estimable_and_no_number_is_made_up(of_few):
    single = of_few.contrast("single_agent_against_doublet")
    assert single.overlap.verdict.startswith("Not estimable: only")
    assert all(o.aipw.value is None and "Not estimable" in o.aipw.reason for o in single.outcomes)
    assert any("Not estimable" in w for w in of_few.warnings)
    assert all(o.g_computation.reason == "no served model was given" for o in single.outcomes)


def test_an_arm_that_nobody_received_is_not_estimable(many, prior, spec):
    without = np.array([r.exposures["anti_egfr"] == 0 for r in many.regimens])
    found = audit(many.take(without), prior)
    assert "only 0 patients received an anti-EGFR antibody" in found.contrast("anti_egfr_against_none").overlap.verdict


def test_one_site_alone_can_be_audited(many, prior):
    site = np.unique(many.site)[0]
    assert audit(many.take(many.site == site), prior).contrasts


def test_a_contrast_beyond_the_evidence_is_a_warning(many, prior, spec):
    triplet = np.array([r.backbone == "folfoxiri" for r in many.regimens])
    rng = np.random.default_rng(1)
    reversed_ = np.where(triplet, rng.random(len(triplet)) < 0.1, rng.random(len(triplet)) < 0.8).astype(float)
    outcomes = {**many.outcomes, "objective_response": reversed_}
    found = audit(replace(many, outcomes=outcomes), prior)
    figures = outcome(found, "triplet_against_doublet", "objective_response")
    assert figures.beside_evidence.startswith("Outside the interval of published evidence, wholly below it")
    assert any("objective response: Outside" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("low", "value", "high", "words"),
    [
        (0.02, 0.05, 0.08, "Within the interval"),
        (0.05, 0.12, 0.19, "The estimate lies beyond"),
        (0.11, 0.15, 0.19, "Outside the interval of published evidence, wholly above"),
    ],
)
def test_words_tell_near_from_far(low, value, high, words):
    evidence = Estimate(value=0.06, low=0.01, high=0.10)
    assert beside_evidence(Estimate(value=value, low=low, high=high), evidence).startswith(words)


def test_net_benefit_of_choosing_lies_between_thresholds_and_counts_who_is_chosen(effects):
    curve = effects.selection
    assert curve.thresholds[0] == 0.03 and curve.thresholds[-1] == 0.15
    assert list(curve.treat_share) == sorted(curve.treat_share, reverse=True)
    assert all(a <= b for a, b in zip(curve.low, curve.high, strict=True))
    # Nobody chosen, nothing gained.
    for share, value in zip(curve.treat_share, curve.net_benefit, strict=True):
        if share == 0:
            assert value == 0


def test_standard_errors_by_site_differ_and_estimates_do_not(many, prior, effects):
    clustered = audit(many, prior, by_site=True)
    mine = outcome(clustered, "bevacizumab_against_none", "resection_12m")
    theirs = outcome(effects, "bevacizumab_against_none", "resection_12m")
    assert mine.aipw.value == pytest.approx(theirs.aipw.value)
    assert mine.aipw.se != pytest.approx(theirs.aipw.se)


def test_patients_site_year_and_the_rest_of_the_regimen_are_adjusted_for_and_what_is_compared_is_not(many, spec):
    table = tabulate(many, spec)
    for part in RegimenPart:
        matrix, names = table.beside(part)
        assert matrix.shape == (many.patients.n, len(names))
        assert not np.isnan(matrix).any()
        assert not set(labels(spec, part)) & set(names)
        assert set(labels(spec, part.other)) & set(names)
        assert {"calendar year", "planned weeks"} <= set(names)
        assert sum(n.startswith("site ") for n in names) == len(set(many.site))


def test_the_terms_under_the_received_component_are_those_received(many, spec):
    arms, table = Arms.of(many, spec), tabulate(many, spec)
    received = arms.received()
    for part in RegimenPart:
        for c, name in enumerate(components(spec, part)):
            own = table.received[:, part] == c
            assert np.allclose(arms.under(part, name)[own], received[own])


def test_the_outcome_model_is_the_ridge_regression_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    x = rng.standard_normal((400, 4))
    y = (rng.random(400) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    weight = rng.uniform(0.5, 2, 400)
    mine = ridge_logistic(np.column_stack([np.ones(400), x]), y, weight, penalty=5.0)
    theirs = LogisticRegression(C=0.2, tol=1e-8).fit(x, y, weight)
    assert mine[1:] == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert mine[0] == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_folds_hold_out_no_whole_site(many, spec):
    fold = balanced_folds_of(tabulate(many, spec))
    for site in np.unique(many.site):
        assert len(np.unique(fold[many.site == site])) == 5


def test_figures_can_be_drawn_even_of_what_is_not_estimable(effects, of_few):
    for contrast in (effects.contrasts[0], of_few.contrast("single_agent_against_doublet")):
        assert forest(contrast).axes
        assert len(propensities(contrast).axes) == 2
    assert selection(effects.selection).axes


def test_the_report_gets_a_forest_and_the_overlap_of_each_contrast(effects):
    found = panels(effects)
    assert sum(p.figure is not None for p in found) == 2 * len(effects.contrasts) + 1
    assert any("RAS-mutant" in s for p in found for s in p.sentences)


def test_a_registry_that_knows_no_ras_status_says_that_no_one_can_be_compared(many, prior, spec):
    unknown = list(spec.fields["ras_status"].codes).index("not_tested")
    blind = replace(many, patients=many.patients.replace({"ras_status": np.full(many.patients.n, float(unknown))}))
    found = audit(blind.take(np.arange(400)), prior).contrast("anti_egfr_against_none")
    assert found.overlap.patients == 0
    assert not found.overlap.estimable
    assert all(o.crude.value is None for o in found.outcomes)


def test_a_prognostic_score_from_elsewhere_sharpens_the_outcome_model(many, prior, effects):
    # A score that knows the outcome leaves little to chance.
    y = many.outcomes["resection_12m"]
    score = {"resection_12m": np.where(np.isnan(y), 0.0, 4 * (y - 0.5))}
    found = outcome(audit(many, prior, scores=score), "bevacizumab_against_none", "resection_12m")
    without = outcome(effects, "bevacizumab_against_none", "resection_12m")
    assert found.overlap_weighted.se < 0.7 * without.overlap_weighted.se
