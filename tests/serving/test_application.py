"""From settings to what answers: a real bundle, or the reason why it is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from serving.application import Application, assemble
from serving.settings import Settings
from training.bundle import Calibration, Curve, add_calibration
from training.bundle.manifest import seal

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "patient.json"

pytestmark = pytest.mark.anyio


def served(folder: Path) -> Application:
    return assemble(Settings(model=str(folder)))


@pytest.fixture(scope="module")
def application(bundle) -> Application:
    return served(bundle)


@pytest.fixture
def spoiled(bundle, tmp_path) -> Path:
    """A copy of the bundle for a test to change."""
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


async def post(front: Any, application: Application, path: str, body: object) -> Any:
    async with front(application).client() as client:
        return await client.post(path, json=body)


async def test_an_answer_is_what_the_openapi_document_says(front, application):
    asked = json.loads(EXAMPLE.read_text())
    answer = await post(front, application, "/predict", asked)
    assert answer.status_code == 200
    read = application.answers.predict.model_validate_json(answer.content)
    assert [(r.backbone, r.biologic) for r in read.regimens] == [
        (r["backbone"], r["biologic"]) for r in asked["regimens"]
    ]


async def test_a_batch_is_what_the_openapi_document_says(front, application):
    patient = json.loads(EXAMPLE.read_text())["patient"]
    answer = await post(front, application, "/predict_batch", {"patients": [patient, {"age_years": 80}]})
    assert len(application.answers.batch.model_validate_json(answer.content).predictions) == 2


async def test_two_regimens_are_compared_as_the_openapi_document_says(front, application):
    patient = json.loads(EXAMPLE.read_text())["patient"]
    pair = [{"backbone": "folfox", "biologic": b} for b in ("bevacizumab", "none")]
    answer = await post(front, application, "/compare", {"patient": patient, "regimens": pair})
    assert answer.status_code == 200
    read = application.answers.compare.model_validate_json(answer.content)
    assert "FOLFOX" in read.second and "bevacizumab" in read.first.lower()
    assert [r.label for r in read.regimens] == [read.first, read.second]
    assert read.warnings and read.regimens[0].flags != read.regimens[1].flags


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_comparison_takes_exactly_two_regimens(front, application, count):
    regimens = [{"backbone": "folfox", "biologic": b} for b in ("none", "cetuximab", "bevacizumab")][:count]
    answer = await post(front, application, "/compare", {"patient": {"age_years": 60}, "regimens": regimens})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "regimens"


async def test_the_documents_and_the_page_are_answered(front, application):
    async with front(application).client() as client:
        assert (await client.get("/readyz")).json()["model"]["name"] == "resecta"
        for path in ("/specification", "/model", "/openapi.json"):
            assert (await client.get(path)).json()
        assert "<form" in (await client.get("/")).text


def test_a_bundle_of_another_specification_is_refused_with_both_digests_and_what_differs(spoiled):
    files = {name: json.loads((spoiled / name).read_text()) for name in ("manifest.json", "checksums.json")}
    ours = files["manifest.json"]["spec_digest"]
    files["manifest.json"]["spec_digest"] = "f" * 64
    (spoiled / "manifest.json").write_text(json.dumps(files["manifest.json"]))
    specification = json.loads((spoiled / "specification.json").read_text())
    changed = specification["fields"][0]
    changed["kind"] = "boolean"
    (spoiled / "specification.json").write_text(json.dumps(specification))
    seal(spoiled)
    (problem,) = served(spoiled).refusals
    assert problem.code == "digest"
    assert "f" * 12 in problem.message and ours[:12] in problem.message
    assert changed["name"] in problem.message


def test_a_bundle_with_a_changed_file_is_refused(spoiled):
    prior = spoiled / "prior.json"
    prior.write_text(prior.read_text().replace("-0.5", "-0.6", 1))
    (problem,) = served(spoiled).refusals
    assert (problem.field, problem.code) == ("model", "checksum")
    assert "prior.json" in problem.message


def test_what_is_refused_still_leaves_the_request_described(tmp_path):
    unready = served(tmp_path / "nothing")
    assert unready.scorer is None
    assert unready.models is not None and unready.answers is not None
    assert [problem.code for problem in unready.refusals] == ["no_model"]


@pytest.mark.parametrize("model", ["{0}/nothing", "models:{0}/nothing", "models:/resecta@champion"])
async def test_no_place_of_this_machine_is_told_without_a_token_but_in_the_log(front, tmp_path, caplog, model):
    unready = assemble(Settings(model=model.format(tmp_path), store=tmp_path))
    async with front(unready).client() as client:
        told = await client.get("/readyz")
    assert told.status_code == 503
    assert str(tmp_path) not in told.text and "RESECTA_" in told.text
    assert str(tmp_path) in caplog.text


def test_an_unforeseen_failure_is_told_by_its_kind_alone(bundle, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("training.bundle.load_bundle", fail)
    (problem,) = served(bundle).refusals
    assert problem.code == "not_loadable"
    assert "RuntimeError" in problem.message and "/secret" not in problem.message
    assert "/secret/path" in caplog.text


async def test_the_evidence_page_names_studies_and_keeps_to_the_content_policy(front, application):
    async with front(application).client() as client:
        page = await client.get("/evidence")
        assert page.status_code == 200
        assert "Evidence digest" in page.text and "<style" not in page.text and "<script" not in page.text
        assert (await client.get("/static/evidence.css")).status_code == 200


async def test_the_model_tells_its_calibration_curves_or_why_it_has_none(front, application, spoiled):
    spec = application.spec
    curve = Curve(predicted=(0.1, 0.4), observed=(0.1, 0.3), low=(0.0, 0.2), high=(0.2, 0.5), patients=900, events=210)
    text = "Judged on 900 patients."
    curves = {spec.outcomes.names[0]: curve}
    add_calibration(spoiled, Calibration(basis="registry", data_digest="0" * 64, text=text, curves=curves))
    told = []
    for one in (application, served(spoiled)):
        async with front(one).client() as client:
            told.append((await client.get("/model")).json()["calibration"])
    assert told[0] == {"basis": "evidence", "text": told[0]["text"], "curves": {}}
    assert told[0]["text"].startswith("There is no calibration plot")
    drawn = {"predicted": [0.1, 0.4], "observed": [0.1, 0.3], "low": [0.0, 0.2], "high": [0.2, 0.5]}
    counted = {"patients": 900, "events": 210}
    assert told[1] == {"basis": "registry", "text": text, "curves": {spec.outcomes.names[0]: {**drawn, **counted}}}
