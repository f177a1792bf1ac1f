"""The truth behind a simulated registry: coherent, clinically ordered, and open to deliberate edits."""

import numpy as np
import pytest

from features import INTERCEPT, Patients, load_specification
from training.simulator import WITHIN, draw_truth, simulate
from training.simulator.course import happen
from training.simulator.settings import load_settings

SPEC = load_specification()


@pytest.fixture(scope="module")
def drawn():
    return draw_truth(SPEC, 7, 6)


@pytest.fixture(scope="module")
def complete():
    """Patients with nothing missing, as the simulator draws them."""
    settings = load_settings(SPEC)
    rng = np.random.default_rng(11)
    return settings.population.draw(SPEC, settings.encoding(SPEC), rng, np.zeros(400, dtype=int), 1)


def given(truth, patients, outcome, backbone, biologic, cycles=None):
    regimen = SPEC.regimens.regimen(backbone, biologic, cycles)
    return truth.probabilities(patients, [regimen])[1][outcome][:, 0]


def test_the_truth_does_not_depend_on_how_many_patients_are_simulated(drawn):
    again = draw_truth(SPEC, 7, 6)
    assert again.coefficients == drawn.coefficients
    assert again.site_effects == drawn.site_effects
    assert draw_truth(SPEC, 8, 6).coefficients != drawn.coefficients


def test_every_drawn_effect_lies_in_its_range(drawn):
    for name, part in load_settings(SPEC).effects.items():
        for term, effect in part.terms.items():
            low, high = np.log(effect.odds_ratio)
            assert low <= drawn.coefficients[name][term] <= high, f"{name} {term}"


def test_clinically_settled_directions_hold_in_every_truth():
    for seed in range(5):
        truth = draw_truth(SPEC, seed, 2)
        for outcome in SPEC.outcomes.outcomes:
            for term, direction in outcome.settled.items():
                value = truth.coefficients[outcome.name].get(term, 0.0)
                assert value >= 0 if direction == "increasing" else value <= 0, f"{outcome.name} {term}"


def test_probabilities_follow_the_tree(drawn, complete):
    within, reported = drawn.probabilities(complete, SPEC.regimens.all()[:3])
    for outcome in SPEC.outcomes.outcomes:
        chance = reported[outcome.name]
        assert ((chance > 0) & (chance < 1)).all()
        if outcome.within is not None and outcome.within != outcome.given:
            assert (chance <= reported[outcome.within]).all()
            np.testing.assert_allclose(chance, reported[outcome.within] * within[outcome.name])


def test_anti_egfr_helps_left_sided_wild_type_and_not_ras_mutant(drawn, complete):
    base = complete.replace({"braf_status": np.zeros(complete.n)})
    left = np.full(complete.n, float(SPEC.codes("primary_site").index("sigmoid")))
    codes = SPEC.codes("ras_status")
    for status, sign in (("wt", 1), ("mutant", -1)):
        patients = base.replace({"primary_site": left, "ras_status": np.full(complete.n, float(codes.index(status)))})
        for backbone in ("folfox", "folfiri"):
            gain = given(drawn, patients, "conversion_12m", backbone, "cetuximab") - given(
                drawn, patients, "conversion_12m", backbone, "none"
            )
            assert (np.sign(gain) == sign).all()


def test_liver_injury_follows_the_drugs(drawn, complete):
    plain = given(drawn, complete, "sinusoidal_injury", "folfiri", "none")
    exposed = given(drawn, complete, "sinusoidal_injury", "folfox", "none")
    shielded = given(drawn, complete, "sinusoidal_injury", "folfox", "bevacizumab")
    longer = given(drawn, complete, "sinusoidal_injury", "folfox", "none", 12)
    assert (plain < shielded).all()
    assert (shielded < exposed).all()
    assert (exposed < longer).all()
    thin, heavy = (complete.replace({"bmi_kg_m2": np.full(complete.n, bmi)}) for bmi in (22.0, 36.0))
    harm = [
        given(drawn, p, "steatohepatitis", "folfiri", "none") - given(drawn, p, "steatohepatitis", "folfox", "none")
        for p in (thin, heavy)
    ]
    assert (harm[0] > 0).all()
    assert (harm[1] > harm[0]).all()


def test_the_named_nonlinear_effects_bend_where_they_say(drawn, complete):
    def mean(outcome, **columns):
        patients = complete.replace({k: np.full(complete.n, float(v)) for k, v in columns.items()})
        return given(drawn, patients, outcome, "folfox", "none").mean()

    assert mean("conversion_12m", cea_ng_ml=200) == pytest.approx(mean("conversion_12m", cea_ng_ml=5000))
    assert mean("conversion_12m", cea_ng_ml=5) > mean("conversion_12m", cea_ng_ml=200)
    assert mean("conversion_12m", flr_percent=30) == pytest.approx(mean("conversion_12m", flr_percent=60))
    assert mean("conversion_12m", flr_percent=15) < mean("conversion_12m", flr_percent=30) - 0.02
    fall = [mean("conversion_12m", age_years=a) - mean("conversion_12m", age_years=a + 5) for a in (60, 78)]
    assert fall[1] > fall[0]


def test_an_edited_truth_changes_only_what_was_edited(drawn, complete):
    regimen = SPEC.regimens.all()[:2]
    before = drawn.log_odds(complete, regimen)
    moved = drawn.shifted("conversion_12m", 0.5).log_odds(complete, regimen)
    np.testing.assert_allclose(moved["conversion_12m"], before["conversion_12m"] + 0.5)
    np.testing.assert_array_equal(moved["resection_12m"], before["resection_12m"])
    weaker = drawn.scaled(0.7)
    assert weaker.coefficients["resection_12m"]["metastases"] == pytest.approx(
        0.7 * drawn.coefficients["resection_12m"]["metastases"]
    )
    for term in ("oxaliplatin", INTERCEPT, "anti_egfr_wild_type_left"):
        assert weaker.coefficients["resection_12m"][term] == drawn.coefficients["resection_12m"][term]
    bent = drawn.with_effect("resection_12m", "bevacizumab_triplet", 0.6)
    assert "bevacizumab_triplet" not in drawn.coefficients["resection_12m"]
    assert bent.log_odds(complete, regimen)["major_complication"].tolist() == before["major_complication"].tolist()


def test_an_unknown_outcome_or_term_cannot_be_edited(drawn):
    with pytest.raises(KeyError, match="cure"):
        drawn.with_effect("cure", "age", 1.0)
    with pytest.raises(KeyError, match="luck"):
        drawn.with_effect("resection_12m", "luck", 1.0)


def test_the_truth_refuses_incomplete_patients(drawn):
    with pytest.raises(ValueError, match="complete patients"):
        drawn.probabilities(Patients(SPEC, 2, {"age_years": np.array([60.0, 70.0])}), SPEC.regimens.all()[:1])


def test_an_override_replaces_the_seeds_own_truth(drawn):
    _, own = simulate(SPEC, 120, 7, 6)
    _, bent = simulate(SPEC, 120, 7, 6, truth_override=drawn.shifted("resection_12m", 2.0))
    assert bent["resection_12m"].mean() > own["resection_12m"].mean() + 0.2
    np.testing.assert_array_equal(bent["objective_response"], own["objective_response"])


def test_the_truth_table_holds_twenty_regimens_at_each_patients_own_weeks():
    registry, truth = simulate(SPEC, 150, 2, 3)
    assert list(truth.columns[:4]) == ["record_id", "backbone", "biologic", "planned_cycles"]
    assert set(truth.columns[4:]) == {n for o in SPEC.outcomes.names for n in (o, o + WITHIN)}
    planned = registry.dropna(subset=["planned_cycles"]).set_index("record_id")
    own = truth.set_index(["record_id", "backbone", "biologic"])["planned_cycles"]
    for record, row in planned.iterrows():
        assert own[(record, row["planned_backbone"], row["planned_biologic"])] == row["planned_cycles"]
    for _, rows in truth.groupby("record_id", observed=True):
        weeks = rows["planned_cycles"] * np.where(rows["backbone"] == "capox", 3, 2)
        assert weeks.max() - weeks.min() <= 2


def test_events_happen_as_often_as_their_probabilities_say():
    rng = np.random.default_rng(1)
    n = 40_000
    within = {name: rng.uniform(0.2, 0.8, n) for name in SPEC.outcomes.names}
    events = happen(SPEC.outcomes, within, load_settings(SPEC).course, rng)
    for outcome in SPEC.outcomes.outcomes:
        parent = events.outcomes.get(outcome.within or "", np.ones(n, dtype=bool))
        observed = events.outcomes[outcome.name][parent].mean()
        assert observed == pytest.approx(within[outcome.name][parent].mean(), abs=0.02), outcome.name
    response, resection = events.outcomes["objective_response"], events.outcomes["resection_12m"]
    assert resection[response].mean() > resection[~response].mean() + 0.15
