"""The fitted prior: committed as it is built, and returning what was published."""

import re

import numpy as np
import pytest
from scipy.special import expit, logit

from features import INTERCEPT
from training.bundle import Prior
from training.evidence import load_parameters
from training.evidence.anchors import anchor_observations
from training.evidence.arms import ArmReader
from training.evidence.block import BETWEEN_HOSPITALS
from training.evidence.carried_over import carried_over
from training.evidence.contrasts import Contrast, Contrasts, Group, load_contrasts
from training.evidence.effect_size import Source, heterogeneity
from training.evidence.fit import build_prior_parameters, evidence_digest, read_case_mix, read_populations
from training.evidence.held_out import Evidence
from training.evidence.observation import average
from training.evidence.population import Populations, everyone, regimen_called
from training.evidence.tables import load_tables


@pytest.fixture(scope="module")
def rebuilt(spec):
    return build_prior_parameters(spec)


@pytest.fixture(scope="module")
def carried(spec, prior):
    patients = everyone(prior.parameters.case_mix, spec)
    return carried_over(spec, Evidence(spec, ArmReader(spec)), patients, read_populations(), prior.terms)


@pytest.fixture(scope="module")
def anchors(spec, prior):
    patients = everyone(prior.parameters.case_mix, spec)
    return anchor_observations(spec, load_tables()["anchors"], patients, read_populations(), prior.terms)


def test_the_committed_prior_is_the_one_that_the_data_give(rebuilt):
    committed = load_parameters()
    assert committed.evidence_digest == rebuilt.evidence_digest == evidence_digest()
    assert committed.case_mix == rebuilt.case_mix
    for ours, theirs in zip(committed.outcomes, rebuilt.outcomes, strict=True):
        assert [(c.term, c.basis, c.studies, c.note) for c in ours.coefficients] == [
            (c.term, c.basis, c.studies, c.note) for c in theirs.coefficients
        ]
        for part in ("mean", "sd"):
            np.testing.assert_allclose(
                [getattr(c, part) for c in ours.coefficients],
                [getattr(c, part) for c in theirs.coefficients],
                atol=2e-4,
                err_msg=f"{ours.outcome}: run python -m training.evidence.fit",
            )
        np.testing.assert_allclose(ours.covariance, theirs.covariance, atol=2e-4)


def test_the_spread_of_each_effect_is_the_diagonal_of_the_covariance():
    for part in load_parameters().outcomes:
        np.testing.assert_allclose(np.sqrt(np.diag(part.covariance)), [c.sd for c in part.coefficients], atol=1e-4)


def test_uncertain_regimen_effects_move_the_level_the_other_way(spec):
    # Levels are known under the doublets that were studied, so their effects and the intercept share their doubt.
    part = next(p for p in load_parameters().outcomes if p.outcome == "objective_response")
    terms = [c.term for c in part.coefficients]
    covariance = np.array(part.covariance)
    assert covariance[terms.index(INTERCEPT), terms.index("oxaliplatin")] < -0.05
    assert covariance[terms.index("triplet"), terms.index("oxaliplatin")] < 0


@pytest.mark.parametrize(
    ("outcome", "within"),
    [
        ("any_complication", 0.02),
        ("major_complication", 0.02),
        ("mortality_90d", 0.01),
        ("phlf_bc", 0.02),
        ("steatosis", 0.02),
        ("steatohepatitis", 0.03),
        ("sinusoidal_injury", 0.03),
    ],
)
def test_averages_over_the_case_mix_return_the_published_level(spec, prior, anchors, outcome, within):
    own = [a for a in anchors if a.outcome == outcome]
    predicted = [averaged(spec, prior, anchor.exposed, outcome) for anchor in own]
    # Studies differ beyond chance, and count the more alike the more they differ.
    variance, values = np.array([a.sd**2 for a in own]), np.array([a.value for a in own])
    between = max(heterogeneity(values - logit(predicted), variance), BETWEEN_HOSPITALS**2)
    weights = 1 / (variance + between)
    published = expit(np.average(values, weights=weights))
    assert expit(np.average(logit(predicted), weights=weights)) == pytest.approx(published, abs=within)


@pytest.mark.parametrize(
    ("outcome", "within"),
    [
        ("objective_response", 0.03),
        ("resection_12m", 0.06),  # studies that count complete removal have more of it than others have surgery
        ("conversion_12m", 0.06),
        ("r0_resection_12m", 0.05),
    ],
)
def test_averages_over_the_case_mix_return_the_level_that_the_arms_foretell(spec, prior, carried, outcome, within):
    (level,) = [o for o in carried.levels.observations if o.outcome == outcome]
    assert averaged(spec, prior, level.exposed, outcome) == pytest.approx(expit(level.value), abs=within)


def test_averages_over_the_case_mix_return_the_comparisons_that_the_arms_foretell(spec, prior, carried):
    # Odds ratios shrink along the chain from surgery to R0, and other comparisons pull on the same effects.
    errors = np.sqrt(np.diag(carried.contrasts.covariance))
    for observation, error in zip(carried.contrasts.observations, errors, strict=True):
        exposed, control = (logit(by_draw(spec, prior, side, observation.outcome)) for side in observation.sides)
        assert (exposed - control).mean() == pytest.approx(observation.value, abs=1.5 * error), (
            f"{observation.name}, {observation.outcome}"
        )


def by_draw(spec, prior, side, outcome):
    """Average over patients and regimens for each draw of the coefficients."""
    rows = np.linspace(0, len(side.left) - 1, 64).astype(int)
    chance = np.ones(())
    for name in spec.outcomes.chain(outcome):
        chance = chance * expit((side.left[rows][:, None, :] * prior.coefficients(name)[None]) @ side.right.T)
    return chance.mean(axis=(0, 2))


def averaged(spec, prior, side, outcome):
    rows = np.linspace(0, len(side.left) - 1, 64).astype(int)
    chance = np.ones((len(rows), len(side.right)))
    for name in spec.outcomes.chain(outcome):
        left = side.left[rows][:, None, :] * prior.coefficients(name)[None]
        chance = chance * expit(left @ side.right.T).mean(axis=1)
    return chance.mean()


def test_rates_that_reviews_give_are_returned_though_not_fitted(patients, reported):
    doublets = ["folfox", "folfiri", "folfox+bevacizumab", "folfiri+bevacizumab"]
    liver_limited = read_populations().cut(patients, "liver_limited")
    assert 0.25 < reported(liver_limited, doublets, "conversion_12m").mean() < 0.42  # 30-40%, Saif 2009
    assert 0.13 < reported(patients, doublets, "major_complication").mean() < 0.18  # 15.6%, CAIRO5 short-term
    assert 0.02 < reported(patients, doublets, "mortality_90d").mean() < 0.04  # 2.9%, the same
    assert 0.30 < reported(patients, doublets, "any_complication").mean() < 0.40
    assert 0.04 < reported(patients, doublets, "phlf_bc").mean() < 0.10


@pytest.mark.parametrize(
    ("population", "outcome", "exposed", "control", "low", "high"),
    [
        # Risk ratios of meta-analyses that overlap the trials which were fitted.
        ("ras_wild_type", "objective_response", "folfox+cetuximab", "folfox", 1.16, 2.01),  # Wang 2016
        ("ras_mutant", "objective_response", "folfox+cetuximab", "folfox", 0.76, 1.08),  # Wang 2016
        ("ras_wild_type", "r0_resection_12m", "folfox+cetuximab", "folfox", 1.04, 3.27),  # Wang 2016; Petrelli 1.59
        ("everyone", "sinusoidal_injury", "folfox+bevacizumab", "folfox", 0.15, 0.75),  # Robinson 2012
        ("everyone", "steatohepatitis", "folfiri", "fulv", 1.12, 10.62),  # Robinson 2012
        ("everyone", "sinusoidal_injury", "folfox", "fulv", 1.36, 13.97),  # Robinson 2012
    ],
)
def test_risk_ratios_of_meta_analyses_are_reproduced(
    patients, reported, population, outcome, exposed, control, low, high
):
    group = read_populations().cut(patients, population)
    rates = reported(group, [exposed, control], outcome).mean(axis=0)
    assert low < rates[0] / rates[1] < high


@pytest.mark.parametrize(
    ("population", "outcome", "exposed", "control", "difference", "within"),
    [
        # Several regimens are the investigator's choice.
        ("everyone", "objective_response", "folfoxiri+bevacizumab", "folfiri+bevacizumab", 12, 10),  # TRIBE 53 and 65%
        (
            "right_or_mutated",
            "objective_response",
            "folfoxiri+bevacizumab",
            "folfox+bevacizumab folfiri+bevacizumab",
            21,
            10,
        ),
        (
            "right_or_mutated",
            "conversion_12m",
            "folfoxiri+bevacizumab",
            "folfox+bevacizumab folfiri+bevacizumab",
            11,
            10,
        ),
        ("ras_braf_wild_type", "objective_response", "folfoxiri+panitumumab", "folfox+panitumumab", -3, 10),  # TRIPLETE
        ("ras_braf_wild_type", "r0_resection_12m", "folfoxiri+panitumumab", "folfox+panitumumab", -4, 10),  # TRIPLETE
        ("ras_wild_type", "r0_resection_12m", "folfox+panitumumab", "folfox+bevacizumab", 6, 10),  # PARADIGM
        # CAIRO5 C and D, whose own 90% interval reaches 10.6 points each way.
        ("wild_type_left", "conversion_12m", "folfox+panitumumab", "folfox+bevacizumab", 0, 10.6),
    ],
)
def test_randomised_differences_are_reproduced_within_about_ten_points(
    patients, reported, population, outcome, exposed, control, difference, within
):
    group = read_populations().cut(patients, population)
    rates = [reported(group, text.split(), outcome).mean() for text in (exposed, control)]
    assert 100 * (rates[0] - rates[1]) == pytest.approx(difference, abs=within)


def test_every_outcome_has_evidence_and_every_effect_its_basis(spec):
    parts = {p.outcome: p for p in load_parameters().outcomes}
    assert tuple(parts) == spec.outcomes.names
    studies = {r["study_id"] for t in load_tables().values() for r in t.rows if "study_id" in r}
    for part in parts.values():
        for c in part.coefficients:
            assert c.basis in ("published", "unverified", "judgement")
            assert set(c.studies) <= studies
            assert c.basis == "judgement" or c.studies, f"{part.outcome} {c.term} claims a source and names none"
            assert c.note


def test_duration_acts_through_injury_or_directly_never_both(spec):
    # Liver injury is an outcome here and no predictor, so planned weeks count once in each chain of outcomes.
    parts = {p.outcome: {c.term for c in p.coefficients} for p in load_parameters().outcomes}
    for outcome in spec.outcomes.names:
        assert not any(other in parts[outcome] for other in spec.outcomes.names)
    assert "weeks" in parts["any_complication"]
    assert "oxaliplatin_weeks" in parts["sinusoidal_injury"]


def test_the_case_mix_completes_every_input_of_the_encoding(spec):
    case_mix = read_case_mix()
    assert case_mix.complaints(spec) == []
    names = [f.name for f in spec.encoding.patient_factors]
    values = spec.encoding.patient_matrix(everyone(case_mix, spec, 64), names)
    assert [n for n, column in zip(names, values.T, strict=True) if np.isnan(column).any()] == []


def test_every_distribution_of_the_case_mix_names_its_source():
    cited = {str(r["study_id"]) for r in load_tables()["cohort_baselines"].rows} | {"judgement", "assumed_ranges"}
    for mix in read_case_mix().fields:
        assert cited & set(re.findall(r"[a-z0-9_]+", mix.source)), f"{mix.field}: {mix.source}"


def test_the_case_mix_looks_like_its_sources(spec):
    patients = everyone(read_case_mix(), spec, 1024)
    assert np.median(patients["n_liver_metastases"]) == pytest.approx(8, abs=1)
    assert (patients["largest_met_diameter_mm"] > 50).mean() == pytest.approx(0.42, abs=0.04)
    assert patients["bilobar"].mean() == pytest.approx(0.84, abs=0.03)
    assert (patients["n_segments_involved"] >= 6).mean() == pytest.approx(0.25, abs=0.05)
    right = patients["primary_side"] == spec.codes("primary_side").index("right")
    assert right.mean() == pytest.approx(0.287, abs=0.03)
    mutant = patients["ras_status"] == spec.codes("ras_status").index("mutant")
    v600e = patients["braf_status"] == spec.codes("braf_status").index("v600e")
    assert v600e.mean() == pytest.approx(0.082, abs=0.02)
    assert (v600e & mutant).mean() < 0.01  # they exclude each other nearly always
    assert (patients["ldh_ratio"] > 1).mean() == pytest.approx(0.43, abs=0.06)


def test_a_contrast_that_cannot_be_resolved_is_named(spec, prior):
    source = Source(table="liver_injury", study="nobody1999")
    contrast = Contrast(
        name="something",
        outcome="steatosis",
        exposed=Group(regimens=("folfox",)),
        control=Group(regimens=("fulv",)),
        sources=(source,),
    )
    declared = Contrasts(usual=("folfox",), contrasts=(contrast, contrast.model_copy(update={"outcome": "joy"})))
    patients = everyone(prior.parameters.case_mix, spec, 8)
    with pytest.raises(ValueError, match=r"contrast something on steatosis: .*nobody1999") as refused:
        declared.observations(spec, load_tables(), patients, read_populations(), prior.terms)
    assert "contrast something on joy: unknown joy" in str(refused.value)


def test_a_population_that_does_not_fit_the_specification_is_named(spec):
    populations = Populations(by_name={"odd": ({"primary_side": ("middle",)}, {"mood": ("good",)})})
    assert populations.complaints(spec) == [
        "population odd: middle not among the codes of primary_side",
        "population odd: unknown field mood",
    ]


def test_populations_are_cut_as_declared(spec, patients):
    left = read_populations().cut(patients, "wild_type_left")
    assert 0 < left.n < patients.n
    assert set(left["primary_side"]) == {spec.codes("primary_side").index("left")}
    assert set(left["ras_status"]) == {spec.codes("ras_status").index("wt")}


def test_no_contrast_compares_a_group_with_itself(spec, prior):
    patients = everyone(prior.parameters.case_mix, spec, 64)
    seen = load_contrasts().observations(spec, load_tables(), patients, read_populations(), prior.terms)
    assert [o.name for o in seen if np.abs(o.reach()).max() < 1e-9] == []


def test_anchor_studies_are_in_the_tables():
    tables = load_tables()
    studies = {r["study_id"] for t in tables.values() for r in t.rows if "study_id" in r}
    named = {s for r in tables["anchors"].rows if r["studies"] for s in str(r["studies"]).split(";")}
    assert named <= studies


def test_the_slope_of_an_average_is_its_derivative(spec, prior, carried):
    anchor = next(a for a in carried.levels.observations if a.outcome == "r0_resection_12m")
    chain = spec.outcomes.chain(anchor.outcome)
    beta = {name: prior.coefficients(name).mean(axis=0) for name in spec.outcomes.names}
    slope = average(anchor.exposed, chain, (), beta).slopes[chain[1]][0]
    shifted = {name: b.copy() for name, b in beta.items()}
    shifted[chain[1]][0] += 1e-5
    ahead, here = (average(anchor.exposed, chain, (), b).log_odds for b in (shifted, beta))
    assert slope == pytest.approx((ahead - here) / 1e-5, rel=1e-3)


def test_a_regimen_is_planned_for_about_the_weeks_asked(spec):
    assert regimen_called(spec, "capox+bevacizumab", 12).planned_cycles == 4
    assert regimen_called(spec, "folfox", 16).planned_weeks == 16


def test_a_specification_with_another_term_is_refused(spec):
    parameters = load_parameters()
    first = parameters.outcomes[0]
    renamed = first.coefficients[1].model_copy(update={"term": "shoe_size"})
    coefficients = (first.coefficients[0], renamed, *first.coefficients[2:])
    changed = first.model_copy(update={"coefficients": coefficients})
    with pytest.raises(ValueError, match="unknown term shoe_size"):
        Prior(parameters.model_copy(update={"outcomes": (changed, *parameters.outcomes[1:])}), spec)
