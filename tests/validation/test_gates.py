"""Each gate stops its own fault, and a figure that is missing passes none."""

import pytest
from pydantic import ValidationError

from validation.evaluation import Cell, DecisionCurve, Difference, Evaluation, Figure, Judged, ModelFigures
from validation.gates import FactGate, GateFacts, Gates, load_gates
from validation.verdict import judge

HELD = Figure(value=1.0)
NONE = Figure(value=None, reason="too few events")
SOUND = {
    "calibration_intercept": (0.02, -0.1, 0.14),
    "calibration_slope": (0.97, 0.8, 1.1),
    "observed_to_expected": (1.02, 0.9, 1.12),
    "auroc": (0.7, 0.66, 0.74),
}
CELL = {"observed_to_expected": (1.05, 0.9, 1.2)}


def figure(three):
    return three if isinstance(three, Figure) else Figure(value=three[0], low=three[1], high=three[2])


def curve(benefit):
    ends = {"low": benefit, "high": benefit, "treat_all": (0.1, 0.0)}
    return DecisionCurve(decision="act or not", thresholds=(0.1, 0.2), net_benefit=benefit, **ends)


def cell(level, metrics, suppressed=None, patients=200):
    patients = None if suppressed else patients
    shown = {} if suppressed else {k: figure(v) for k, v in {**CELL, **metrics}.items()}
    return Cell(group="g", level=level, patients=patients, events=None, metrics=shown, suppressed=suppressed)


def evaluation(metrics=None, differences=None, cells=None, subgroups=None, champion_cells=None, benefit=(0.12, 0.06)):
    shown = {k: figure(v) for k, v in {**SOUND, **(metrics or {})}.items()}
    mine = cells if cells is not None else (cell("a", {}), cell("b", {}))
    theirs = champion_cells if champion_cells is not None else (cell("a", {}), cell("b", {}))

    def model(name, kind, parts):
        decision = curve(benefit if name == "new" else (0.12, 0.06)) if benefit else None
        judged = Judged(outcome="o", patients=1000, events=400, metrics=shown, cells=parts, decision=decision)
        return ModelFigures(name=name, kind=kind, outcomes={"o": judged})

    against = {"log_loss": (-0.002, -0.006, 0.002), "net_benefit": (0.001, -0.002, 0.004), **(differences or {})}
    within = {"a": (0.001, -0.01, 0.012), "b": (-0.004, -0.02, 0.011), **(subgroups or {})}
    common = {"model": "new", "against": "champion", "outcome": "o"}
    compared = [Difference(**common, metric=k, figure=figure(v)) for k, v in against.items()]
    compared += [
        Difference(**common, metric="log_loss", figure=figure(v), group="g", level=k) for k, v in within.items()
    ]
    models = (model("new", "candidate", mine), model("champion", "champion", theirs))
    return Evaluation(rows="newest closed cohort", patients=1000, models=models, differences=tuple(compared))


def facts(**changes):
    known = {
        "loads": HELD,
        "spec_digest": HELD,
        "data_validated": HELD,
        "champion_unchanged": HELD,
        "smoke": HELD,
        "orderings": {"o/count": HELD},
        "coverage": {"o": Figure(value=0.9)},
    }
    return GateFacts(model="new", **{**known, **changes})


def verdicts(facts_=None, **parts):
    return judge(load_gates(), evaluation(**parts), "new", "champion", facts_ or facts(), ["o"])


def stopped(facts_=None, **parts):
    return {v.gate for v in verdicts(facts_, **parts) if not v.passed}


def test_a_sound_model_passes_every_gate_and_each_gives_its_figure_and_bound():
    found = verdicts()
    assert {v.gate for v in found if not v.passed} == set()
    assert {v.gate.rpartition("/")[2] for v in found} == {g.name for g in load_gates().every}
    assert all(v.value is not None and v.bound and v.text for v in found)


@pytest.mark.parametrize(
    ("metrics", "gate"),
    [
        ({"calibration_slope": (0.45, 0.2, 0.9)}, "calibration_slope"),
        ({"calibration_slope": (0.6, 0.5, 0.72)}, "calibration_slope"),
        ({"calibration_intercept": (0.7, 0.57, 0.83)}, "calibration_intercept"),
        ({"calibration_intercept": (-0.35, -0.45, -0.25)}, "calibration_intercept"),
        ({"observed_to_expected": (1.4, 1.3, 1.5)}, "observed_to_expected"),
        ({"auroc": (0.95, 0.93, 0.97)}, "leakage"),
    ],
)
def test_a_figure_out_of_bounds_or_reliably_off_is_stopped_by_its_own_gate(metrics, gate):
    assert stopped(metrics=metrics) == {f"o/{gate}"}


def test_chance_at_few_events_does_not_stop_a_model():
    few = {"calibration_intercept": (0.3, -0.1, 0.7), "calibration_slope": (0.7, 0.3, 1.1)}
    assert stopped(metrics=few) == set()


@pytest.mark.parametrize(
    ("difference", "gate"),
    [
        ({"log_loss": (0.006, -0.002, 0.014)}, "log_loss"),
        ({"log_loss": (0.004, 0.001, 0.007)}, "log_loss"),
        ({"net_benefit": (-0.009, -0.012, -0.006)}, "net_benefit"),
    ],
)
def test_worse_than_the_champion_by_more_than_the_margin_or_reliably_so_is_stopped(difference, gate):
    assert stopped(differences=difference) == {f"o/{gate}"}


def test_net_benefit_is_judged_over_all_thresholds_and_reliability_at_the_middle_one():
    found = [v for v in verdicts(benefit=(0.125, 0.03)) if not v.passed]
    assert [(v.gate, round(v.value, 4)) for v in found] == [("o/net_benefit", -0.0125)]
    assert stopped(benefit=(0.125, 0.045)) == set()
    assert stopped(benefit=None) == {"o/net_benefit"}


def test_worse_for_one_subgroup_alone_is_stopped_and_the_subgroup_is_named():
    found = [v for v in verdicts(subgroups={"b": (0.06, 0.02, 0.1)}) if not v.passed]
    assert [v.gate for v in found] == ["o/subgroup_log_loss"]
    assert "g b" in found[0].text
    assert found[0].value == 0.06


def test_a_subgroup_whose_events_are_reliably_off_is_stopped_unless_the_champion_is_as_far_off():
    off = cell("b", {"observed_to_expected": (0.6, 0.5, 0.72)})
    assert stopped(cells=(cell("a", {}), off)) == {"o/subgroup_observed_to_expected"}
    assert stopped(cells=(cell("a", {}), off), champion_cells=(cell("a", {}), off)) == set()


def test_a_suppressed_subgroup_is_named_and_does_not_block():
    cells = (cell("a", {}), cell("b", {}), cell("c", {}, suppressed="fewer than 50 patients"))
    found = {v.gate: v for v in verdicts(cells=cells)}
    for name in ("o/subgroup_log_loss", "o/subgroup_observed_to_expected"):
        assert found[name].passed
        assert "g c (fewer than 50 patients)" in found[name].text


def test_a_subgroup_below_the_least_number_is_named_and_not_judged():
    off = {"observed_to_expected": (0.3, 0.2, 0.4)}
    found = {v.gate: v for v in verdicts(cells=(cell("a", {}), cell("b", {}), cell("c", off, patients=49)))}
    assert all(v.passed for v in found.values())
    assert "g c (fewer than 50 patients)" in found["o/subgroup_observed_to_expected"].text


def test_a_subgroup_that_is_large_enough_and_has_no_figure_does_not_pass_in_silence():
    found = {v.gate: v for v in verdicts(cells=(cell("a", {}), cell("b", {"observed_to_expected": NONE})))}
    assert not found["o/subgroup_observed_to_expected"].passed
    assert "g b, the challenger: too few events" in found["o/subgroup_observed_to_expected"].text
    assert stopped(subgroups={"b": NONE}) == {"o/subgroup_log_loss"}


def test_subgroups_that_are_all_suppressed_are_no_proof():
    cells = (cell("a", {}, suppressed="small"),)
    assert stopped(cells=cells) == {"o/subgroup_log_loss", "o/subgroup_observed_to_expected"}


@pytest.mark.parametrize("metric", sorted(SOUND))
def test_no_figure_never_passes(metric):
    found = [v for v in verdicts(metrics={metric: NONE}) if not v.passed]
    assert [v.text for v in found] == ["not computed: too few events"]
    assert found[0].value is None


@pytest.mark.parametrize("metric", ["log_loss", "net_benefit"])
def test_no_comparison_never_passes(metric):
    assert stopped(differences={metric: NONE}) == {f"o/{metric}"}


def test_an_estimate_without_an_interval_does_not_pass_where_the_interval_is_judged():
    assert stopped(metrics={"calibration_slope": Figure(value=1.0)}) == {"o/calibration_slope"}
    assert stopped(differences={"log_loss": Figure(value=0.0)}) == {"o/log_loss"}


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"loads": Figure(value=0.0, reason="changed")}, "loads"),
        ({"spec_digest": Figure(value=0.0)}, "spec_digest"),
        ({"data_validated": Figure(value=0.0)}, "data_validated"),
        ({"champion_unchanged": Figure(value=0.0)}, "champion_unchanged"),
        ({"smoke": Figure(value=0.999)}, "smoke_predictions"),
        ({"orderings": {"o/count": Figure(value=0.9)}}, "o/count/settled_orderings"),
        ({"orderings": {}}, "settled_orderings"),
        ({"coverage": {"o": Figure(value=0.5)}}, "o/interval_coverage"),
        ({"coverage": {}}, "o/interval_coverage"),
        ({"coverage": {"o": NONE}}, "o/interval_coverage"),
    ],
)
def test_each_fact_has_its_gate(change, gate):
    assert stopped(facts(**change)) == {gate}


def test_nothing_known_passes_nothing():
    empty = Evaluation(rows="none", patients=0, models=(), differences=())
    found = judge(load_gates(), empty, "new", "champion", GateFacts(model="new"), ["o"])
    assert not any(v.passed for v in found)
    assert {v.gate.rpartition("/")[2] for v in found} == {g.name for g in load_gates().every}


def test_a_gate_declared_twice_or_for_an_unknown_fact_is_refused_by_name():
    shipped = load_gates()
    twice = {**shipped.model_dump(), "facts": [g.model_dump() for g in (*shipped.facts, shipped.facts[0])]}
    with pytest.raises(ValidationError, match=shipped.facts[0].name):
        Gates.model_validate(twice)
    with pytest.raises(ValidationError, match="unknown fact moon_phase"):
        FactGate(name="moon", reason="no reason at all", source="none", fact="moon_phase", at_least=1)
