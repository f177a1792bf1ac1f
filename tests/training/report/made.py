"""An evaluation made by hand: three candidates, the champion and a baseline on four outcomes."""

import numpy as np

from features import load_specification
from training.bundle import Manifest, OutcomeModel, TrainedOn
from training.registry.cohort import FlowStep
from training.report import Panel, ReportFacts
from validation.evaluation import (
    CalibrationCurve,
    Cell,
    DecisionCurve,
    Difference,
    Evaluation,
    Figure,
    Judged,
    ModelFigures,
)
from validation.report import Defect, ValidationReport
from validation.verdict import Verdict

SPEC = load_specification()
NAMES = ("resection_12m", "conversion_12m", "major_complication", "phlf_bc")
MODELS = {
    "evidence": "candidate",
    "xgboost": "candidate",
    "xgboost_prior": "candidate",
    "champion": "champion",
    "prevalence": "baseline",
}


def interval(value: float, half: float) -> Figure:
    return Figure(value=value, low=value - half, high=value + half)


def judged(outcome: str, place: int) -> Judged:
    at = np.linspace(0.1, 0.7, 41)
    observed = np.clip(at + 0.02 * place * (at - 0.4), 0, 1)
    thresholds = np.linspace(0.05, 0.3, 21)
    drawn = place != len(MODELS) - 1
    too_few = Figure(value=None, reason="only 6 events or non-events; 10 are needed")
    return Judged(
        outcome=outcome,
        patients=1000,
        events=412,
        metrics={
            "log_loss": interval(0.6 + 0.004 * place, 0.02),
            "auroc": interval(0.71 - 0.01 * place, 0.03),
            "calibration_slope": too_few if outcome == NAMES[-1] else interval(1.02, 0.2),
            "observed_to_expected": interval(1.04, 0.09),
        },
        calibration=CalibrationCurve(
            predicted=tuple(at), observed=tuple(observed), low=tuple(observed * 0.9), high=tuple(observed * 1.1)
        )
        if drawn
        else None,
        decision=DecisionCurve(
            decision="Put on the conversion pathway",
            thresholds=tuple(thresholds),
            net_benefit=tuple(0.4 - thresholds),
            low=tuple(0.37 - thresholds),
            high=tuple(0.43 - thresholds),
            treat_all=tuple(0.38 - 1.3 * thresholds),
            harm=("at 5% you accept following 19 patients in vain for each one whose disease is removed",),
        )
        if drawn and outcome == NAMES[1]
        else None,
        cells=(
            Cell(
                group="Age",
                level="70 and over",
                patients=240,
                events=80,
                metrics={"observed_to_expected": interval(1.3, 0.2), "log_loss": interval(0.64, 0.04)},
            ),
            Cell(
                group="Age",
                level="under 70",
                patients=760,
                events=332,
                metrics={"observed_to_expected": interval(1.0, 0.1), "log_loss": interval(0.6, 0.02)},
            ),
            Cell(
                group="Microsatellite status",
                level="MSI-H",
                patients=None,
                events=None,
                metrics={},
                suppressed="fewer than 10 patients",
            ),
        ),
    )


def differences(model: str, against: str, by: dict[str, tuple[float, float]]) -> list[Difference]:
    return [
        Difference(model=model, against=against, outcome=outcome, metric="log_loss", figure=interval(*by[outcome]))
        for outcome in NAMES[:3]
    ] + [
        Difference(
            model=model,
            against=against,
            outcome=NAMES[3],
            metric="log_loss",
            figure=Figure(value=None, reason="too few events"),
        )
    ]


def made_evaluation() -> Evaluation:
    by = {NAMES[0]: (-0.004, 0.003), NAMES[1]: (-0.001, 0.003), NAMES[2]: (0.006, 0.002)}
    return Evaluation(
        rows="1,000 patients, whole calendar periods held out",
        patients=1000,
        models=tuple(
            ModelFigures(name=name, kind=kind, outcomes={o: judged(o, place) for o in NAMES})
            for place, (name, kind) in enumerate(MODELS.items())
        ),
        differences=(
            *differences("xgboost_prior", "champion", by),
            *differences("xgboost_prior", "evidence", {k: (-0.01, 0.001) for k in NAMES}),
            Difference(
                model="xgboost_prior",
                against="champion",
                outcome=NAMES[0],
                metric="auroc",
                figure=interval(0.012, 0.01),
            ),
            Difference(
                model="xgboost_prior",
                against="champion",
                outcome=NAMES[0],
                metric="log_loss",
                figure=interval(0.02, 0.01),
                group="Age",
                level="70 and over",
            ),
        ),
        warnings=("AUROC of 0.91 on one outcome is more than it allows; look for a leak.",),
    )


def made_manifest(kind: str = "simulated", version: str = "unregistered", patients: int = 1000) -> Manifest:
    return Manifest(
        name="resecta",
        version=version,
        learner="xgboost_prior" if kind != "evidence" else "evidence",
        created="2026-01-02T03:04:05+00:00",
        code_version="0.1.0+abc",
        spec_digest=SPEC.digest,
        trained_on=TrainedOn(
            kind=kind,
            text="A registry of four sites",
            patients=patients,
            sites=4,
            first_date="2019-01-01",
            last_date="2024-12-31",
            data_digest="d" * 64,
        ),
        outcomes=tuple(
            OutcomeModel(outcome=n, learner="xgboost_prior", reason=None if n in NAMES else "too few events")
            for n in SPEC.outcomes.names
        ),
    )


def forest_panel() -> Panel:
    from matplotlib.figure import Figure as Drawing

    figure = Drawing(figsize=(4, 1.5))
    figure.subplots().plot([0, 1], [0, 1])
    return Panel(
        title="FOLFOXIRI against FOLFOX",
        sentences=("Adjusted difference 4 points (−2 to 10), 312 patients.",),
        figure=figure,
        alt="Forest plot of four estimates of one contrast.",
        head=("Estimate", "Difference"),
        rows=(("AIPW", "4 (−2 to 10)"), ("Trials", "5 (1 to 9)")),
    )


def made_facts(evaluation: Evaluation) -> ReportFacts:
    return ReportFacts(
        spec=SPEC,
        manifest=made_manifest(),
        champion=made_manifest("evidence", "3", 0),
        evaluation=evaluation,
        effects=(forest_panel(),),
        quality=ValidationReport(
            rows=1040,
            problems=(
                Defect(
                    "cea_ng_ml", "unusual_value", "warning", "Out of <the> ordinary", "0 to 200", "Check", 38, 0.04,
                    examples=("S01-00054",), rows=(1, 2),
                ),
            ),
        ),
        flow=(FlowStep("read", "Rows in the registry", 1040), FlowStep("kept", "Kept", 1000)),
        sample_size=("For all liver disease removed 30 parameters need 2,147 patients; there are 1,000.",),
        update=("Refit: the intercept alone does not do (p = 0.003).",),
        verdicts=(
            Verdict("resection_12m/log_loss", True, "-0.004 against the champion", -0.004, "at most 0.005 worse"),
            Verdict("loads", False, "not computed: not looked at", None, "at least 1"),
        ),
        tripod=Panel(
            "TRIPOD+AI", ("31 of 52 items filled.",), head=("Item", "Status"), rows=(("17", "to be completed"),)
        ),
        notes=("Twelve dates were written day first.",),
    )  # fmt: skip
