"""The registry of invented patients: plausible, coherent, repeatable, and independent of the evidence prior."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import training.simulator
from features import SpecificationError, Time, load_specification
from features.facts import regimen_facts
from training.registry import build_cohort, read_registry
from training.simulator import simulate, write_registry, write_truth
from training.simulator.settings import checked_settings, load_settings, read_settings

SPEC = load_specification()
PACKAGE = Path(training.simulator.__file__).parent


@pytest.fixture(scope="module")
def seven():
    return simulate(SPEC, 3000, 7, 6)


@pytest.fixture(scope="module")
def cohort(seven):
    return build_cohort(seven[0], SPEC)


def crude(cohort, backbone, biologic, outcome):
    rows = np.array([r.key == (backbone, biologic) for r in cohort.regimens])
    return float(np.nanmean(cohort.outcomes[outcome][rows]))


def true(truth, backbone, biologic, outcome):
    return float(truth[(truth.backbone == backbone) & (truth.biologic == biologic)][outcome].mean())


# --- valid and coherent -----------------------------------------------------------------------------------------------


def test_every_cell_satisfies_its_field(seven):
    registry, _ = seven
    problems = {
        (name, problem.code)
        for name in registry.columns
        if name in SPEC.fields
        for problem in map(SPEC.fields[name].problem, registry[name])
        if problem is not None
    }
    assert problems == set()


def test_no_row_contradicts_itself(seven):
    registry, _ = seven
    broken = set()
    for row in registry.drop(columns="simulated").to_dict("records"):
        regimen = SPEC.regimens.regimen(row["planned_backbone"], row["planned_biologic"], row["planned_cycles"])
        facts = {**regimen_facts(regimen), **row}
        broken |= {rule.code for rule in SPEC.consistency if rule.when.evaluate(facts, SPEC.unknown_codes) is True}
    assert broken == set()


def test_every_field_a_hospital_could_export_is_there(seven):
    registry, _ = seven
    assert {f.name for f in SPEC.registry_fields} - set(registry.columns) == set()
    assert not {f.name for f in SPEC.fields.values() if f.identifying} & set(registry.columns)


def test_missing_cells_stay_within_what_the_specification_expects(seven):
    registry, _ = seven
    operated = registry["resection_date"].notna()
    for field in SPEC.registry_fields:
        if field.known_at.by(Time.RESTAGING) and field.expected_missing[1] > 0:
            share = 100 * registry[field.name].isna().mean()
            assert share <= field.expected_missing[1] + 3, field.name
        elif field.known_at is Time.OUTCOME and field.expected_missing[1] > 0:
            share = 100 * registry.loc[operated, field.name].isna().mean()
            assert share <= field.expected_missing[1] + 10, field.name
    assert registry["planned_cycles"].isna().mean() > 0.25


def test_untested_markers_carry_their_own_code_and_become_rarer(seven):
    registry, _ = seven
    year = pd.to_datetime(registry["index_date"]).dt.year
    untested = registry["ras_status"] == "not_tested"
    assert untested[year <= 2019].mean() > untested[year >= 2022].mean() + 0.05


def test_some_patients_lack_twelve_months_of_follow_up(cohort):
    assert any("months before the last date" in note for note in cohort.notes)
    assert np.isnan(cohort.outcomes["resection_12m"]).mean() > 0.02


# --- plausible --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "low", "high"),
    [
        ("objective_response", 0.45, 0.68),
        ("conversion_12m", 0.30, 0.46),
        ("major_complication", 0.13, 0.25),
        ("mortality_90d", 0.01, 0.045),
        ("phlf_bc", 0.04, 0.11),
        ("steatosis", 0.10, 0.28),
        ("steatohepatitis", 0.04, 0.13),
    ],
)
def test_outcome_rates_are_those_of_published_series(cohort, outcome, low, high):
    assert low <= np.nanmean(cohort.outcomes[outcome]) <= high


def test_sinusoidal_injury_follows_oxaliplatin(cohort):
    exposed = np.array([r.exposures["oxaliplatin"] == 1 for r in cohort.regimens])
    injury = cohort.outcomes["sinusoidal_injury"]
    assert 0.20 <= np.nanmean(injury[exposed]) <= 0.38
    assert np.nanmean(injury[~exposed]) < np.nanmean(injury[exposed]) - 0.08


def test_tumour_load_moves_together_and_age_with_frailty(seven):
    registry, _ = seven
    ranks = registry[
        ["n_liver_metastases", "cea_ng_ml", "n_segments_involved", "ldh_u_l", "age_years", "ecog_ps", "asa_class"]
    ]
    correlation = ranks.astype(float).corr("spearman")
    assert correlation.loc["n_liver_metastases", "cea_ng_ml"] > 0.25
    assert correlation.loc["n_liver_metastases", "n_segments_involved"] > 0.4
    assert correlation.loc["n_liver_metastases", "ldh_u_l"] > 0.25
    assert correlation.loc["age_years", "asa_class"] > 0.25
    assert correlation.loc["ecog_ps", "asa_class"] > 0.3
    assert abs(correlation.loc["age_years", "cea_ng_ml"]) < 0.1


def test_regimens_are_chosen_by_indication(seven):
    registry, _ = seven
    triplet = registry["planned_backbone"] == "folfoxiri"
    anti_egfr = registry["planned_biologic"].isin(["cetuximab", "panitumumab"])
    assert (
        registry.loc[triplet, "age_years"].astype(float).mean()
        < registry.loc[~triplet, "age_years"].astype(float).mean() - 4
    )
    assert (registry.loc[anti_egfr, "ras_status"] == "mutant").mean() < 0.10
    assert (registry.loc[anti_egfr, "ras_status"] == "wt").mean() > 0.60


def test_the_crude_contrast_of_regimens_is_confounded_and_can_be_freed(seven, cohort):
    _, truth = seven
    strong, plain = ("folfoxiri", "bevacizumab"), ("folfox", "none")
    difference = true(truth, *strong, "conversion_12m") - true(truth, *plain, "conversion_12m")
    observed = crude(cohort, *strong, "conversion_12m") - crude(cohort, *plain, "conversion_12m")
    assert 0.02 < difference < 0.18
    assert observed - difference > 0.05
    free, same = simulate(SPEC, 6000, 7, 6, confounding=0.0)
    unconfounded = build_cohort(free, SPEC)
    fair = crude(unconfounded, *strong, "conversion_12m") - crude(unconfounded, *plain, "conversion_12m")
    goal = true(same, *strong, "conversion_12m") - true(same, *plain, "conversion_12m")
    # Beyond two standard errors of the crude difference only years and sites are left to confound.
    assert abs(fair - goal) < 0.06


# --- repeatable -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        registry, truth = simulate(SPEC, 200, 3, 4)
        write_registry(registry, tmp_path / f"{name}.csv")
        write_truth(truth, tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    other, _ = simulate(SPEC, 200, 4, 4)
    assert not other.equals(registry)


def test_the_steps_of_a_simulation_are_reported():
    steps = []
    simulate(SPEC, 50, 1, 2, on_step=lambda name, done, total: steps.append((done, total)))
    assert steps == [(i + 1, len(steps)) for i in range(len(steps))]


def test_a_registry_needs_a_patient_for_each_site():
    with pytest.raises(ValueError, match="one patient for each site"):
        simulate(SPEC, 3, 1, 6)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_simulated_registry_is_known_again_and_reads_back_as_it_was(tmp_path, ending):
    registry, _ = simulate(SPEC, 300, 5, 3)
    path = tmp_path / f"registry.{ending}"
    write_registry(registry, path)
    read = read_registry(path, SPEC)
    assert read.simulated
    assert (read.problems, read.notes, read.unmapped) == ((), (), ())
    pd.testing.assert_frame_equal(read.frame, registry.drop(columns="simulated"), check_dtype=False)


# --- independent of what it is used to judge --------------------------------------------------------------------------


def test_the_simulator_never_reads_the_evidence_prior():
    barred = ("training.bundle", "training.evidence")
    code = f"import sys, training.simulator; print([m for m in sys.modules if m.startswith({barred!r})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for path in PACKAGE.glob("*.py"):
        imported = {
            name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert not {n for n in imported if n and n.startswith(barred)}, path.name
        assert "prior.json" not in path.read_text("utf-8"), path.name


def test_every_number_names_where_it_comes_from():
    settings = load_settings(SPEC)
    for name, part in settings.effects.items():
        for term, effect in part.terms.items():
            assert effect.basis == "judgement" or effect.source, f"{name} {term}"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("effects", "phlf_bc", "terms", "flr_below_thirty"), {"or": [1, 2], "basis": "judgement"}, "flr_below_thirty"),
        (("population", "traits", -1, "field"), "intent", "trait intent"),
        (("population", "traits", 4, "given"), "ras_status", "ras_status must come before"),
        (("treatment", "backbones", "folfox", "terms"), {"tumor_burden": 1}, "tumor_burden"),
        (("course", "operation"), "surgery_day", "surgery_day"),
        (("records", 0, "cases", 0, "when"), {"responded": True}, "responded"),
        (("missingness", "percent"), {"ras": [1, 2]}, "ras"),
        (("effects", "steatosis", "terms", "bmi"), {"or": [2, 1], "basis": "judgement"}, "effects.steatosis.terms.bmi"),
        (("untested", 0, "codes"), {"wt": 1.0}, "ras_status"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(path, value, named):
    data = read_settings()
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(SpecificationError, match=named):
        checked_settings(data, SPEC)


def test_the_truth_is_complete_even_for_patients_nobody_tested(seven):
    registry, truth = seven
    unknown = registry["ras_status"].isin(["not_tested", "pending", "failed"])
    assert unknown.any()
    assert len(truth) == 20 * len(registry)
    assert not truth.isna().any().any()
