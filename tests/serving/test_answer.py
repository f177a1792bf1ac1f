"""What is sent is what was scored: every number in its place, every text as it was declared."""

import json

import numpy as np
import pytest

from features import Patients, load_specification
from features.facts import patient_facts, regimen_facts
from serving.answer import Scorer
from serving.request import request_models
from serving.response import response_models
from training.bundle import STATES, Bundle, Manifest, OutcomeModel, Support, TrainedOn
from training.bundle.prior import Prior
from training.bundle.support import RegimenCount
from training.evidence import load_parameters

SOME = {"age_years": 61, "n_liver_metastases": 7, "ras_status": "mutant", "bilobar": True, "albumin_g_l": 33.0}
OTHER = {"age_years": 44, "primary_site": "rectum", "extrahepatic_disease": ["lung"]}


def manifest_of(spec):
    return Manifest(
        name="resecta",
        learner="evidence",
        created="2026-01-01T00:00:00+00:00",
        code_version="test",
        spec_digest=spec.digest,
        trained_on=TrainedOn(kind="evidence", text="test", data_digest="0" * 64),
        outcomes=tuple(OutcomeModel(outcome=name, learner="evidence") for name in spec.outcomes.names),
    )


@pytest.fixture(scope="module")
def spec():
    return load_specification()


@pytest.fixture(scope="module")
def prior(spec):
    return Prior(load_parameters(), spec)


@pytest.fixture(scope="module")
def bundle(spec, prior):
    return Bundle(manifest_of(spec), prior, spec)


@pytest.fixture(scope="module")
def scorer(spec, bundle):
    return Scorer(bundle, spec)


def asked(spec, patient, regimens=None):
    body = {"patient": patient, **({"regimens": regimens} if regimens else {})}
    return request_models(spec).predict.model_validate(body).model_dump()


@pytest.mark.parametrize("patient", [SOME, OTHER, {"age_years": 90}])
def test_every_number_stands_under_its_own_name(spec, scorer, bundle, patient):
    answer = scorer.answer(asked(spec, patient))
    scores = bundle.score(Patients.from_records(spec, [patient]), spec.regimens.all())
    assert [(r["backbone"], r["biologic"]) for r in answer["regimens"]] == [r.key for r in spec.regimens.all()]
    for j, regimen in enumerate(answer["regimens"]):
        for name, told in regimen["outcomes"].items():
            found = [values[name][0, j] for values in (scores.probability, scores.low, scores.high)]
            assert [told["probability"], told["low"], told["high"]] == pytest.approx(found, abs=5.1e-5)
            assert told.get("given") == spec.outcomes[name].given
        for i, state in enumerate(STATES):
            assert regimen["states"][state] == pytest.approx(scores.states[state][0, j])
            low, high = scores.state_bounds[:, 0, i, j]
            assert 0 <= low - regimen["state_ranges"][state]["low"] <= 1e-4
            assert 0 <= regimen["state_ranges"][state]["high"] - high <= 1e-4
    response_models(spec).predict.model_validate(answer)


def test_flags_are_those_of_the_catalogue_with_their_texts(spec, scorer):
    answer = scorer.answer(asked(spec, SOME))
    facts = [regimen_facts(r) for r in spec.regimens.all()]
    raised = spec.flags.evaluate(patient_facts(spec, SOME), facts, spec.flags.profiles[0], spec.unknown_codes)
    for regimen, flags in zip(answer["regimens"], raised, strict=True):
        assert [(f["code"], f["status"], f["text"]) for f in regimen["flags"]] == [
            (f.code, f.status, f.text) for f in flags
        ]


def test_patients_answered_together_get_what_each_gets_alone(spec, scorer):
    batch = {"patients": [SOME, OTHER, {"age_years": 90}], "regimens": None, "profile": spec.flags.profiles[0]}
    for written, patient in zip(scorer.write_batch(batch), batch["patients"], strict=True):
        together, alone = json.loads(written.sent), scorer.answer(asked(spec, patient))
        assert together.pop("prediction_id") != alone.pop("prediction_id")
        assert together == alone


def test_what_is_remembered_of_one_patient_changes_no_other_ones_answer(spec, bundle, scorer):
    patients = [{**SOME, "age_years": age, "albumin_g_l": albumin} for age in (50, 70) for albumin in (31.0, 45.0)]
    first = [scorer.answer(asked(spec, p))["regimens"] for p in patients]
    again = [Scorer(bundle, spec).answer(asked(spec, p))["regimens"] for p in reversed(patients)]
    assert first == again[::-1]


def test_of_the_answer_others_read_the_same_as_the_client(spec, scorer):
    sent, brief = scorer.write(asked(spec, OTHER))
    answer = json.loads(sent)
    assert {name: answer[name] for name in ("prediction_id", "model", "assumed")} == {
        name: brief[name] for name in ("prediction_id", "model", "assumed")
    }
    for told, short in zip(answer["regimens"], brief["regimens"], strict=True):
        assert {name: told[name] for name in short} == short


def test_an_answer_with_a_number_that_is_none_is_never_written(spec, bundle, scorer, monkeypatch):
    score = bundle.score

    def broken(*arguments):
        scores = score(*arguments)
        scores.stacked[1, 0, 3, 2] = np.nan
        return scores

    monkeypatch.setattr(bundle, "score", broken)
    with pytest.raises(ValueError, match="not finite"):
        scorer.write(asked(spec, SOME))


def test_support_counts_the_comparable_patients_of_each_regimen(spec, prior):
    stratum = tuple(spec.encoding.strata(Patients.from_records(spec, [SOME]))[0].tolist())
    given = [RegimenCount(backbone="folfox", biologic="none", stratum=stratum, patients=23)]
    scorer = Scorer(Bundle(manifest_of(spec), prior, spec, support=Support(counts=tuple(given))), spec)
    answer = scorer.answer(asked(spec, SOME))
    for regimen in answer["regimens"]:
        comparable = 23 if (regimen["backbone"], regimen["biologic"]) == ("folfox", "none") else 0
        assert regimen["support"]["effective_patients"] == comparable


def compare(scorer, spec, patient, *regimens):
    pair = [{"backbone": backbone, "biologic": biologic} for backbone, biologic in regimens]
    return scorer.compare({"patient": patient, "regimens": pair, "profile": spec.flags.profiles[0]})


def test_a_comparison_never_says_more_than_where_its_range_lies(spec, scorer):
    asked_of = [(("folfoxiri", "bevacizumab"), ("fulv", "none")), (("folfox", "none"), ("capox", "none"))]
    said = set()
    for pair in asked_of + [pair[::-1] for pair in asked_of]:
        for told in compare(scorer, spec, SOME, *pair)["differences"].values():
            side = "above" if told["low"] > 0 else "below" if told["high"] < 0 else None
            verb = {"above": "higher", "below": "lower"}.get(side)
            words = f"{verb}; the whole 90% range lies {side} zero" if side else "no reliable difference"
            assert told["words"] == words
            said.add(words)
    assert len(said) == 3


def test_a_comparison_says_of_each_regimen_what_a_prediction_says_of_it(spec, scorer):
    pair = ("folfox", "cetuximab"), ("folfox", "none")
    compared = compare(scorer, spec, SOME, *pair)
    regimens = [{"backbone": backbone, "biologic": biologic} for backbone, biologic in pair]
    answer = scorer.answer(asked(spec, SOME, regimens))
    assert compared["warnings"] == answer["warnings"] and compared["warnings"]
    assert compared["assumed"] == answer["assumed"]
    for told, predicted in zip(compared["regimens"], answer["regimens"], strict=True):
        assert told == {name: predicted[name] for name in told}
    barring = ("contraindicated", "present")
    barred = [[f["code"] for f in r["flags"] if (f["severity"], f["status"]) == barring] for r in compared["regimens"]]
    assert barred == [["RAS_MUT_ANTI_EGFR"], []]


def test_the_severities_of_a_comparison_follow_its_profile(spec, scorer):
    pair = [{"backbone": "folfox", "biologic": "none"}, {"backbone": "fulv", "biologic": "none"}]
    request = {"patient": {**SOME, "neuropathy_grade": 3}, "regimens": pair}
    found = [scorer.compare({**request, "profile": p})["regimens"][0]["flags"] for p in spec.flags.profiles]
    assert found[0] != found[-1]


@pytest.mark.parametrize(
    ("basis", "said", "not_said"),
    [
        ("evidence", "No individual patients' data", "registry"),
        ("registry", "Fewer than 5 comparable patients of the training registry", "alone"),
        ("simulated", "simulated patients do not count", "published evidence alone"),
    ],
)
def test_where_none_is_comparable_it_is_said_what_the_number_rests_on(spec, prior, basis, said, not_said):
    manifest = manifest_of(spec)
    data = manifest.trained_on.model_copy(update={"kind": basis})
    manifest = manifest.model_copy(update={"trained_on": data})
    (regimen,) = Scorer(Bundle(manifest, prior, spec), spec).answer(
        asked(spec, SOME, [{"backbone": "folfox", "biologic": "none"}])
    )["regimens"]
    assert said in regimen["support"]["text"] and not_said not in regimen["support"]["text"]


def test_the_patients_of_published_arms_are_not_said_to_be_unreal(spec, scorer):
    texts = [warning["text"] for warning in scorer.answer(asked(spec, SOME))["warnings"]]
    assert "No individual patients' data stand behind these numbers; they rest on published evidence." in texts
