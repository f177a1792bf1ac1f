"""The champion moves by gates, by name and with a reason, and can be taken back."""

import json
import re
from io import StringIO

import mlflow
import pytest
from rich.console import Console

from training import experiment
from training.alias_move import AUDIT, Aliases, aliases, audit, settle
from training.bundle import Manifest, OutcomeModel, TrainedOn, save_bundle
from training.bundle.support import Support
from training.lock import StoreLock
from training.promotion import PromotionRefused, RollbackRefused, promote, rollback, verdicts_on
from training.promotion_command import run_promote, run_rollback
from training.registration import alias_version, register
from training.store import CHALLENGER, CHAMPION, MODEL, PREVIOUS, Store
from validation.evaluation import Cell, DecisionCurve, Difference, Evaluation, Figure, Judged, ModelFigures
from validation.gates import GateFacts, load_gates

HEADLINE = ("resection_12m", "conversion_12m", "major_complication")
HELD = Figure(value=1.0)


def figure(value, low, high):
    return Figure(value=value, low=low, high=high)


def evaluation(loss=-0.002):
    metrics = {
        "calibration_intercept": figure(0.0, -0.1, 0.1),
        "calibration_slope": figure(1.0, 0.9, 1.1),
        "observed_to_expected": figure(1.0, 0.9, 1.1),
        "auroc": figure(0.7, 0.66, 0.74),
    }
    cell = Cell(
        group="Sex", level="female", patients=400, events=90, metrics={"observed_to_expected": figure(1, 0.9, 1.1)}
    )
    flat = {"low": (0.1,), "high": (0.1,), "treat_all": (0.0,)}
    decision = DecisionCurve(decision="act or not", thresholds=(0.2,), net_benefit=(0.1,), **flat)
    judged = {
        o: Judged(outcome=o, patients=1000, events=300, metrics=metrics, cells=(cell,), decision=decision)
        for o in HEADLINE
    }
    models = tuple(
        ModelFigures(name=n, kind=k, outcomes=judged) for n, k in (("evidence", "candidate"), ("champion", "champion"))
    )
    differences = []
    for o in HEADLINE:
        common = {"model": "evidence", "against": "champion", "outcome": o}
        differences += [
            Difference(**common, metric="log_loss", figure=figure(loss, loss - 0.004, loss + 0.004)),
            Difference(**common, metric="net_benefit", figure=figure(0.001, -0.001, 0.003)),
            Difference(**common, metric="log_loss", figure=figure(loss, -0.03, 0.03), group="Sex", level="female"),
        ]
    return Evaluation(rows="newest closed cohort", patients=1000, models=models, differences=tuple(differences))


def checks(against):
    return GateFacts(
        model="evidence",
        judged_against=against,
        data_validated=HELD,
        smoke=HELD,
        orderings={"resection_12m/metastases": HELD},
        coverage={o: Figure(value=0.9) for o in HEADLINE},
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A store apart, because every test moves aliases."""
    return Store(tmp_path_factory.mktemp("promotions") / "store")


@pytest.fixture(scope="module")
def registered(own, spec, prior, tmp_path_factory):
    """Register a version of the evidence that says it rests on something else."""

    def register_one(kind):
        trained_on = TrainedOn(kind=kind, text="made for a test", patients=900, sites=3, data_digest="0" * 64)
        manifest = Manifest(
            name=MODEL,
            learner="evidence",
            created="2026-01-01",
            code_version="test",
            spec_digest=spec.digest,
            trained_on=trained_on,
            outcomes=tuple(OutcomeModel(outcome=n, learner="evidence") for n in spec.outcomes.names),
        )
        folder = tmp_path_factory.mktemp(kind) / "bundle"
        with experiment.job(own, "registry", spec, trained_on):
            save_bundle(folder, manifest, prior.parameters, spec, Support())
            return register(own, folder, manifest, spec, "as trained")

    return register_one


@pytest.fixture(scope="module")
def base(registered):
    return {kind: registered(kind) for kind in ("evidence", "registry", "simulated")}


@pytest.fixture
def made(own, base, registered):
    """Make a version of the same files with a run of its own; no alias and no audit is left from other tests."""
    client = own.open()
    for alias in (CHAMPION, CHALLENGER, PREVIOUS):
        if alias_version(own, alias) is not None:
            client.delete_registered_model_alias(MODEL, alias)
    (own.folder / AUDIT).unlink(missing_ok=True)

    def make(kind="registry", judged=None, facts=None, alias=None, own_files=False):
        if own_files:
            number = registered(kind)
        else:
            like = client.get_model_version(MODEL, base[kind])
            run_id = client.create_run(client.get_run(like.run_id).info.experiment_id).info.run_id
            for name, content in (("evaluation.json", judged), ("checks.json", facts)):
                if content is not None:
                    client.log_dict(run_id, content.model_dump(mode="json"), name)
            copy = client.create_model_version(
                MODEL, like.source, run_id, tags=like.tags, description="as trained", model_id=like.model_id
            )
            number = str(copy.version)
        if alias is not None:
            client.set_registered_model_alias(MODEL, alias, number)
        return number

    return make


def tags(store, version):
    return store.open().get_model_version(MODEL, version).tags


def shown(call, *arguments):
    text = StringIO()
    code = call(*arguments, console=Console(file=text, width=200))
    return code, text.getvalue()


def test_a_challenger_that_passes_every_gate_becomes_champion_and_carries_every_figure(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    second = made(judged=evaluation(), facts=checks(first), alias=CHALLENGER)
    done = promote(own, spec, None, False, "Dr Example", "yearly update")
    assert (done.version, done.replaced, done.binding) == (second, first, True)
    assert all(v.passed for v in done.verdicts)
    assert aliases(own) == Aliases(champion=second, previous=first)
    assert alias_version(own, CHALLENGER) is None
    kept = tags(own, second)
    assert {k for k in kept if k.startswith("gate.")} == {f"gate.{v.gate.replace('/', '.')}" for v in done.verdicts}
    assert kept["gate.conversion_12m.log_loss"].startswith("passed: -0.002 (-0.006 to 0.002) against the champion")
    assert kept["gates_version"] == str(load_gates().version)
    assert "by Dr Example: yearly update" in kept["decision"]
    run_id = own.open().get_model_version(MODEL, second).run_id
    record = mlflow.artifacts.load_dict(f"runs:/{run_id}/decision.json")
    assert [g["gate"] for g in record["gates"]] == [v.gate for v in done.verdicts]
    assert "promoted" in own.open().get_run(run_id).data.tags["decision"]


def test_the_description_says_in_three_sentences_what_changed_and_why(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    number = made(judged=evaluation(loss=0.03), facts=checks(first))
    with pytest.raises(PromotionRefused):
        promote(own, spec, number, False, "Dr Example", "yearly update")
    text = own.open().get_model_version(MODEL, number).description
    assert len(re.findall(r"\.(?=\s|$)", text)) == 3
    assert "900 patients of 3 sites" in text
    assert f"against the champion (version {first}): resection_12m +0.0300" in text
    assert "Not promoted, though asked by Dr Example (yearly update): resection_12m/log_loss" in text


def test_a_refusal_moves_nothing_names_the_gates_and_is_on_record(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    number = made(judged=evaluation(loss=0.03), facts=checks(first), alias=CHALLENGER)
    with pytest.raises(PromotionRefused, match=r"conversion_12m/log_loss: 0\.03") as refused:
        promote(own, spec, None, False, "tester", "try")
    assert {v.gate.rpartition("/")[2] for v in refused.value.verdicts if not v.passed} == {"log_loss"}
    assert aliases(own) == Aliases(champion=first, previous=None)
    assert alias_version(own, CHALLENGER) == number
    assert tags(own, number)["decision"].startswith("refused")
    assert [(e.event, e.stage, e.version) for e in audit(own)] == [("refusal", "done", number)]


def test_a_model_that_was_never_evaluated_or_checked_is_refused(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    bare = made()
    with pytest.raises(PromotionRefused, match="not computed") as refused:
        promote(own, spec, bare, False, "tester", "try")
    passed = {v.gate for v in refused.value.verdicts if v.passed}
    assert passed == {"loads", "spec_digest"}
    unchecked = made(judged=evaluation())
    with pytest.raises(PromotionRefused, match="smoke_predictions"):
        promote(own, spec, unchecked, False, "tester", "try")
    assert alias_version(own, CHAMPION) == first


def test_an_evaluation_against_a_champion_that_was_replaced_since_does_not_count(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    stale = made(judged=evaluation(), facts=checks("99"))
    with pytest.raises(PromotionRefused, match=f"compared with 99, the champion is {first}"):
        promote(own, spec, stale, False, "tester", "try")


def test_simulated_patients_need_permission_and_their_gates_are_shown_but_bind_nobody(own, spec, made):
    made(kind="evidence", alias=CHAMPION)
    number = made(kind="simulated", judged=evaluation(loss=0.5))
    with pytest.raises(PromotionRefused, match="--allow-simulated"):
        promote(own, spec, number, False, "tester", "try")
    done = promote(own, spec, number, True, "tester", "demonstration")
    assert not done.binding
    assert any(not v.passed for v in done.verdicts)
    assert "which do not bind" in own.open().get_model_version(MODEL, number).description


def test_the_newest_patients_decide_where_a_job_judged_them_apart(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    number = made(judged=evaluation(), facts=checks(first))
    run_id = own.open().get_model_version(MODEL, number).run_id
    own.open().log_dict(run_id, evaluation(loss=0.03).model_dump(mode="json"), "deciding.json")
    assert {v.gate.rpartition("/")[2] for v in verdicts_on(own, spec, number) if not v.passed} == {"log_loss"}


def test_evidence_alone_may_always_be_restored(own, spec, made):
    first = made(kind="evidence")
    made(kind="simulated", alias=CHAMPION)
    assert promote(own, spec, first, False, "tester", "restore").verdicts == ()
    assert alias_version(own, CHAMPION) == first


def test_a_version_that_does_not_exist_or_does_not_load_is_refused_before_anything_moves(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    with pytest.raises(PromotionRefused, match="version 777 cannot be found; there are "):
        promote(own, spec, "777", False, "tester", "try")
    broken = made(kind="evidence", own_files=True)
    spoil(own, broken)
    with pytest.raises(PromotionRefused, match=r"cannot be served.*prior.json was changed"):
        promote(own, spec, broken, False, "tester", "try")
    assert aliases(own) == Aliases(champion=first, previous=None)


def spoil(store, version):
    from training.registration import bundle_folder

    store.open()
    path = bundle_folder(store, version) / "prior.json"
    path.write_text(path.read_text("utf-8") + " ", "utf-8")


def test_a_rollback_restores_the_previous_champion_and_a_second_one_undoes_it(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    second = made(kind="evidence")
    promote(own, spec, second, False, "tester", "newer evidence")
    done = rollback(own, spec, "Dr Example", "complaints from the ward")
    assert (done.version, done.replaced) == (first, second)
    assert aliases(own) == Aliases(champion=first, previous=second)
    assert "rolled back" in tags(own, second)["rollback"]
    assert "restored" in tags(own, first)["rollback"]
    for version in (first, second):
        assert "by Dr Example" in tags(own, version)["rollback"]
        assert "complaints from the ward" in tags(own, version)["rollback"]
    run_id = own.open().get_model_version(MODEL, second).run_id
    assert "complaints from the ward" in own.open().get_run(run_id).data.tags["rollback"]
    rollback(own, spec, "tester", "it was the network")
    assert aliases(own) == Aliases(champion=second, previous=first)
    events = [(e.event, e.stage) for e in audit(own)]
    assert events == [(e, s) for e in ("promotion", "rollback", "rollback") for s in ("begun", "done")]
    assert audit(own)[-1].reason == "it was the network"


def test_a_rollback_is_refused_without_a_previous_champion_or_when_it_does_not_load(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION, own_files=True)
    with pytest.raises(RollbackRefused, match="no version was champion before"):
        rollback(own, spec, "tester", "try")
    second = made(kind="evidence")
    promote(own, spec, second, False, "tester", "newer")
    spoil(own, first)
    with pytest.raises(RollbackRefused, match=r"previous version cannot be restored.*prior.json was changed"):
        rollback(own, spec, "tester", "try")
    assert aliases(own) == Aliases(champion=second, previous=first)


class Killed(BaseException):
    """Stands in for a process that ends between two steps."""


@pytest.mark.parametrize("steps", range(4))
def test_a_promotion_cut_short_at_any_step_leaves_a_champion_and_is_made_good(own, spec, made, monkeypatch, steps):
    import training.alias_move as moving

    first = made(kind="evidence", alias=CHAMPION)
    second, third = made(kind="evidence"), made(kind="evidence")
    promote(own, spec, second, False, "tester", "newer")
    left = [steps]

    def counted(call):
        def step(*arguments):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return call(*arguments)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(moving, "_set", counted(moving._set))
        patch.setattr(moving, "_append", counted(moving._append))
        with pytest.raises(Killed):
            promote(own, spec, third, False, "tester", "newest")
    assert alias_version(own, CHAMPION) == (third if steps == 3 else second)
    settle(own)
    expected = (third, second) if steps == 3 else (second, first)
    assert aliases(own) == Aliases(champion=expected[0], previous=expected[1])
    assert settle(own) is None
    promote(own, spec, third, False, "tester", "again")
    assert aliases(own) == Aliases(champion=third, previous=second)


def test_a_line_of_the_audit_file_that_was_cut_short_hides_no_other(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    promote(own, spec, first, False, "tester", "once")
    path = own.folder / AUDIT
    path.write_text(path.read_text("utf-8") + '{"when": "20', "utf-8")
    promote(own, spec, first, False, "tester", "twice")
    assert [e.reason for e in audit(own)] == ["once", "once", "twice", "twice"]
    assert len(path.read_text("utf-8").splitlines()) == 5


def test_promoting_the_champion_again_keeps_what_was_champion_before(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    second = made(kind="evidence")
    promote(own, spec, second, False, "tester", "newer")
    promote(own, spec, second, False, "tester", "again")
    assert aliases(own) == Aliases(champion=second, previous=first)


def test_judging_without_deciding_writes_and_moves_nothing(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    number = made(judged=evaluation(), facts=checks(first))
    assert all(v.passed for v in verdicts_on(own, spec, number))
    assert alias_version(own, CHAMPION) == first
    assert not [k for k in tags(own, number) if k.startswith("gate.")]
    assert audit(own) == ()


def test_the_commands_show_every_gate_and_exit_by_what_was_decided(own, spec, made):
    first = made(kind="evidence", alias=CHAMPION)
    worse = made(judged=evaluation(loss=0.03), facts=checks(first))
    better = made(judged=evaluation(), facts=checks(first))
    code, text = shown(run_promote, own, spec, worse, False, "tester", "try")
    assert code == 1
    assert "3 gates not passed: resection_12m/log_loss" in text
    for gate in load_gates().every:
        assert gate.name in text
    code, text = shown(run_promote, own, spec, better, False, "tester", "try")
    assert code == 0
    assert f"Version {better} is now champion; version {first} is previous." in text
    code, text = shown(run_rollback, own, spec, "tester", "back")
    assert (code, f"Version {first} is champion again" in text) == (0, True)


def test_the_commands_say_who_holds_the_store(own, spec, made):
    import threading

    made(kind="evidence", alias=CHAMPION)
    said = []

    def elsewhere():
        said.append(shown(run_promote, own, spec, None, False, "tester", "try"))
        said.append(shown(run_rollback, own, spec, "tester", "try"))

    with StoreLock(own.folder, "retrain"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert [code for code, _ in said] == [3, 3]
    assert all("held by retrain" in text for _, text in said)


def test_the_audit_file_is_one_json_object_a_line(own, spec, made):
    first = made(kind="evidence")
    promote(own, spec, first, False, "tester", "ein Grund: größer")
    for line in (own.folder / AUDIT).read_text("utf-8").splitlines():
        assert json.loads(line)["reason"] == "ein Grund: größer"
    assert alias_version(own, PREVIOUS) is None
