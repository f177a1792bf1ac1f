"""A report's facts, made by hand."""

import pytest

from tests.training.report.made import SPEC, made_evaluation, made_facts


@pytest.fixture(scope="session")
def spec():
    return SPEC


@pytest.fixture(scope="session")
def evaluation():
    return made_evaluation()


@pytest.fixture(scope="session")
def facts(evaluation):
    return made_facts(evaluation)
