"""What these tests answer has the shape of what the service answers, so that the page is tested against the latter."""

import pytest

from serving.request import request_models
from serving.response import response_models
from tests.serving.page.canned import SPEC, CannedScorer

FOLFOX = {"backbone": "folfox", "biologic": "none", "planned_cycles": 6}
CAPOX = {"backbone": "capox", "biologic": "none", "planned_cycles": 4}
PATIENT = {"age_years": 54}


@pytest.mark.parametrize(
    ("kind", "does", "request_"),
    [
        ("predict", "answer", {"patient": PATIENT, "regimens": [FOLFOX, CAPOX]}),
        ("compare", "compare", {"patient": PATIENT, "regimens": [FOLFOX, CAPOX]}),
        ("explain", "explain", {"patient": PATIENT, "regimen": FOLFOX, "outcome": SPEC.outcomes.names[0]}),
    ],
)
def test_canned_answers_are_answers_of_the_service(kind, does, request_):
    asked = getattr(request_models(SPEC), kind).model_validate(request_).model_dump()
    answer = getattr(CannedScorer(), does)(asked)
    getattr(response_models(SPEC), kind).model_validate(answer)
