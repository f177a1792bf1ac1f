"""Requests drawn from our own OpenAPI document, right ones and wrong ones: each is answered as the document says.

Found are answers of a status, a type or a shape that the document does not name, failures of the service, and wrong
requests that are taken for right ones. What is drawn is the same in each run.
"""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.serving.process import SERVE, Running, started

TOKEN = "a-long-random-text-of-32-letters"
ANSWER = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]
CHECKS = {
    # A right request by the document may still be refused: no JSON schema says that two fields contradict each other.
    GenerationMode.POSITIVE: [*ANSWER, unsupported_method],
    GenerationMode.NEGATIVE: [*ANSWER, negative_data_rejection],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory, bundle) -> Iterator[Running]:
    """One worker with a model and a token, and no limit to the rate."""
    folder = tmp_path_factory.mktemp("described")
    wanted = {"RESECTA_MODEL": str(bundle), "RESECTA_TOKEN": TOKEN, "RESECTA_RATE": "0", "RESECTA_LOG": "off"}
    with started(SERVE, folder, folder, **wanted) as running:
        yield running


def ask_all(running: Running, mode: GenerationMode, examples: int) -> dict[str, Counter[int]]:
    """Send requests to each address of the document and check the answers; return how often each status came."""
    base = str(running.client.base_url)
    shown = {"authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json", headers=shown)
    answers: dict[str, Counter[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        # Elsewhere nothing is read, so nothing can be wrong.
        read = operation.method.upper() == "POST" or bool(operation.query)
        if mode is GenerationMode.NEGATIVE and not read:
            continue
        count = examples if read else 2
        answers[operation.label] = _drawn(
            lambda case: case.call_and_validate(base_url=base, headers=shown, checks=CHECKS[mode], timeout=30),
            operation.as_strategy(generation_mode=mode),
            count,
        )
    return answers


def _drawn(ask: Callable[[Case], Response], cases: SearchStrategy[Case], examples: int) -> Counter[int]:
    statuses = Counter[int]()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def each(case: Case) -> None:
        statuses[ask(case).status_code] += 1

    each()
    return statuses


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_one_that_the_document_names(served, mode):
    answers = ask_all(served, mode, 30)
    assert {"POST /predict", "POST /predict_batch", "POST /compare", "GET /audit", "GET /audit/verify"} <= set(answers)
    assert sum(map(Counter.total, answers.values())) >= 80
    given_of = answers["POST /predict"]
    assert mode is GenerationMode.NEGATIVE or answers["GET /audit"][200] > 0
    assert given_of[200] > given_of.total() / 2 if mode is GenerationMode.POSITIVE else given_of[200] == 0
    assert served.client.get("/readyz").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_of_thousands_is_one_that_the_document_names(served, mode):
    answers = ask_all(served, mode, 1000)
    assert sum(map(Counter.total, answers.values())) >= 3000
    (worker,) = served.workers
    assert worker.memory_info().rss < 500 * 1024 * 1024
