"""The average patient that GET /model tells of."""

import pytest

from features import Part, load_specification
from serving.application import assemble
from serving.settings import Settings

SPEC = load_specification()
PRIMARY = SPEC.outcomes.part(Part.PRIMARY).name

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def application(bundle):
    return assemble(Settings(model=str(bundle)))


async def test_the_model_tells_what_every_regimen_gives_the_average_patient(front, application):
    async with front(application).client() as client:
        told = (await client.get("/model")).json()["typical"]
    assert told["outcome"] == PRIMARY
    every = [(r.backbone, r.biologic, r.planned_cycles) for r in SPEC.regimens.all()]
    assert [(r["backbone"], r["biologic"], r["planned_cycles"]) for r in told["regimens"]] == every
    assert all(0 < r["probability"] < 1 for r in told["regimens"])


async def test_the_average_patient_is_the_one_from_whom_drivers_are_counted(front, application):
    patient = {"age_years": 70, "ras_status": "mutant"}
    async with front(application).client() as client:
        for one in (await client.get("/model")).json()["typical"]["regimens"][::7]:
            probability = one.pop("probability")
            explained = await client.post("/explain", json={"patient": patient, "regimen": one, "outcome": PRIMARY})
            assert explained.json()["typical"] == pytest.approx(probability, abs=1e-4)
