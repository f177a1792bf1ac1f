"""The reporting record is filled from what there is, says what there is not, and invents nothing."""

import json
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from training.bundle import TrainedOn
from training.tripod import TripodFacts, gather, load_items, tripod
from training.tripod.probast import RULES, load_questions
from training.tripod.statements import STATEMENTS
from training.tripod.tripod import Declared
from validation.evaluation import Cell, Evaluation, Figure, Judged, ModelFigures
from validation.report import ValidationReport
from validation.sample_size import verdict

BLANK = "to be completed by the site"
DIGEST = "ab" * 32


def judged(outcome):
    metrics = {
        "auroc": Figure(value=0.71, low=0.66, high=0.76),
        "calibration_slope": Figure(value=None, reason="only 4 events"),
        "calibration_intercept": Figure(value=0.02, low=-0.2, high=0.24),
        "observed_to_expected": Figure(value=1.04, low=0.9, high=1.2),
    }
    cells = (
        Cell(group="Site", level="S01", patients=120, events=50, metrics=metrics),
        Cell(
            group="Age",
            level="70 and over",
            patients=None,
            events=None,
            metrics={},
            suppressed="fewer than 20 patients",
        ),
    )
    return Judged(outcome=outcome, patients=300, events=120, metrics=metrics, cells=cells)


@pytest.fixture(scope="module")
def trained_on(cohort):
    return TrainedOn(
        kind="registry",
        text="A registry",
        patients=len(cohort),
        sites=4,
        first_date="2018-01-02",
        last_date="2023-05-06",
        data_digest=DIGEST,
    )


@pytest.fixture(scope="module")
def bare(spec):
    return tripod(gather(spec))


@pytest.fixture(scope="module")
def complete(spec, cohort, registry, trained_on):
    model = ModelFigures(name="logistic", kind="candidate", outcomes={n: judged(n) for n in spec.outcomes.names})
    return gather(
        spec,
        cohort=cohort,
        trained_on=trained_on,
        validation=ValidationReport(rows=len(registry.frame), problems=()),
        evaluation=Evaluation(rows="Whole hospitals held out", patients=300, models=(model,), differences=()),
        sample_size={"resection_12m": verdict(450, 190, 0.68, 40)},
        settings={"resection_12m": (("ridge_c", 0.03),)},
        learner="logistic",
        candidates=("evidence", "logistic"),
        split="site",
        folds=4,
        code_version="0.1.0+abc",
        follow_up_until="2024-01-01",
        stability=("Liver surgery: stable",),
        contrasts=("Triplet against doublet: not estimable",),
        update="No registered model was updated; all candidates were trained anew.",
        warnings=("Few events in one site",),
    )


def test_the_checklist_has_27_items_and_52_sub_items():
    ids = [item.id for item in load_items().items]
    assert len(ids) == len(set(ids)) == 52
    assert {int("".join(c for c in i if c.isdigit())) for i in ids} == set(range(1, 28))


def test_lettered_sub_items_follow_each_other():
    letters = Counter(
        "".join(c for c in item.id if c.isdigit()) for item in load_items().items if item.id[-1].isalpha()
    )
    assert letters == {"3": 3, "5": 2, "6": 3, "8": 3, "9": 3, "12": 7, "18": 6, "20": 3, "23": 2, "27": 3}


def test_the_record_says_that_its_wording_is_to_be_checked(bare):
    assert "to be checked against the published checklist" in bare.wording
    assert bare.wording in bare.to_markdown()


def test_every_statement_and_rule_is_used_and_every_one_used_exists():
    used = {name for item in load_items().items for name in item.needs}
    assert used == set(STATEMENTS)
    assert {q.answer for d in load_questions().domains for q in d.questions} == set(RULES)


def test_without_artefacts_only_what_the_specification_tells_is_filled(bare):
    assert bare.item("9a").status == "filled"
    assert bare.item("8a").status == "partly"
    for id_ in ("5a", "10", "20a", "21", "23a", "24"):
        assert bare.item(id_).status == BLANK, id_
        assert bare.item(id_).missing
    assert bare.percent_auto < 15


def test_with_all_artefacts_every_automatic_item_is_filled(complete):
    record = tripod(complete)
    fill = {item.id: item.fill for item in load_items().items}
    assert {item.id: item.missing for item in record.items if item.missing} == {}
    for item in record.items:
        expected = {"auto": "filled", "partly": "partly", "human": BLANK}[fill[item.id]]
        assert item.status == expected, item.id
    assert record.percent_auto == pytest.approx(100 * sum(f == "auto" for f in fill.values()) / 52, abs=0.05)


@pytest.mark.parametrize("id_", ["3c", "17", "18a", "18b", "18c", "18d", "19"])
def test_what_only_people_know_is_never_filled(complete, id_):
    assert tripod(complete).item(id_).status == BLANK


def test_an_item_whose_artefact_is_missing_says_which(complete):
    item = tripod(complete.model_copy(update={"stability": ()})).item("12c")
    assert item.status == "partly"
    assert item.missing == ("stability",)


def test_counts_come_from_the_cohort(complete, cohort):
    record = tripod(complete)
    y = cohort.outcomes["resection_12m"]
    assert f"Liver surgery: {int(np.nansum(y)):,} events among {(~np.isnan(y)).sum():,}" in record.item("21").text[0]
    assert f"{len(cohort):,}" in record.item("20a").text[0]


def test_figures_carry_their_intervals_and_what_was_not_computed_its_reason(complete):
    text = " ".join(tripod(complete).item("23a").text)
    assert "AUROC 0.71 (0.66 to 0.76)" in text
    assert "calibration slope not computed (only 4 events)" in text
    assert "age 70 and over: fewer than 20 patients" in text
    assert "site S01" in tripod(complete).item("23b").text[0]


def test_too_small_a_count_is_not_given_nor_can_it_be_worked_out(spec, cohort):
    few = cohort.take(np.flatnonzero(cohort.patients["age_years"] < 70)[:60])
    old = cohort.take(np.flatnonzero(cohort.patients["age_years"] >= 70)[:2])
    mixed = cohort.take(np.concatenate([np.flatnonzero(np.isin(cohort.record, part.record)) for part in (few, old)]))
    facts = gather(spec, cohort=mixed)
    assert facts.levels["Age"] == {"under 70": None, "70 and over": None}
    for divided in (*facts.levels.values(), facts.regimens):
        assert all(n is None or n >= 5 for n in divided.values())
        assert sum(n is None for n in divided.values()) != 1 or len(divided) == 1
    assert "too few to show" in tripod(facts).item("20b").text[0]


def test_no_pseudonym_reaches_the_record(complete, cohort):
    written = tripod(complete).to_json()
    assert not [name for name in cohort.record if name in written]


def test_a_simulated_registry_is_at_high_risk_of_bias_by_design(complete, trained_on):
    record = tripod(complete.model_copy(update={"trained_on": trained_on.model_copy(update={"kind": "simulated"})}))
    risks = {d.domain: d for d in record.probast.domains}
    assert risks["Participants"].risk == risks["Outcome"].risk == "high"
    assert "by design" in risks["Participants"].why
    assert record.probast.overall.startswith("high")
    assert "Simulated patients" in record.to_markdown()


def test_nothing_is_called_low_risk_by_a_machine(complete):
    probast = tripod(complete.model_copy(update={"sample_size": {}})).probast
    assert {d.risk for d in probast.domains} <= {"high", "unclear"}


def test_too_few_events_and_a_random_split_are_answered_no(complete):
    record = tripod(complete.model_copy(update={"split": "random"}))
    answers = {q.id: q for d in record.probast.domains for q in d.questions}
    assert answers["4.1"].answer == "no"
    assert "Liver surgery" in answers["4.1"].why
    assert answers["4.8"].answer == "no"
    assert answers["4.7"].answer == "yes"


def test_a_model_from_evidence_says_that_no_patient_entered(spec):
    evidence = TrainedOn(kind="evidence", text="Published evidence alone", data_digest=DIGEST)
    record = tripod(gather(spec, trained_on=evidence, learner="evidence"))
    for id_ in ("5b", "6a", "10", "20a", "21"):
        assert "No patient entered" in record.item(id_).text[0], id_
    assert not record.simulated


def test_json_and_markdown_hold_every_sub_item(complete):
    record = tripod(complete)
    data = json.loads(record.to_json())
    assert [item["id"] for item in data["items"]] == [item.id for item in load_items().items]
    page = record.to_markdown()
    for item in record.items:
        assert f"### {item.id} {item.content}" in page
    assert f"{record.percent_auto:g}% of 52" in page


def test_text_cannot_break_the_page(complete):
    page = tripod(complete.model_copy(update={"update": "<script>alert(1)</script> a|b"})).to_markdown()
    assert "<script>" not in page


def test_the_words_that_promise_are_not_used(complete):
    page = tripod(complete).to_markdown().lower()
    for word in (" best regimen", "recommended", " optimal", " safe ", " causes "):
        assert word not in page


def test_an_item_that_speaks_of_an_unknown_statement_is_refused():
    with pytest.raises(ValidationError, match="item 1: unknown statements no_such"):
        Declared(id="1", section="Title", content="Title", fill="auto", says=("{no_such}",))
    with pytest.raises(ValidationError, match="what the site must add"):
        Declared(id="1", section="Title", content="Title", fill="human")


def test_a_misspelt_fact_is_refused(spec):
    with pytest.raises(ValidationError, match="learnr"):
        gather(spec, learnr="logistic")
    assert isinstance(gather(spec, learner="logistic"), TripodFacts)


def test_an_unknown_item_is_named(bare):
    with pytest.raises(KeyError, match="99z"):
        bare.item("99z")
