"""Great Expectations runs in memory, silently, and without asking the network anything."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from validation.engine import Engine, ExpectationFailed
from validation.requirement import Requirement, told_with

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENT = Requirement("age_years", "above_hard_limit", "It is above", "18 to 110", "Check")

ALONE = """
import socket
def refuse(*address, **options):
    raise AssertionError(f"looked for {address[1:]}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import pandas as pd
from features import load_specification
from validation.checkpoint import validate_registry
frame = pd.DataFrame({"record_id": ["P1", "P2"], "age_years": [54, 7131]}, dtype=object)
report = validate_registry(frame, load_specification(), docs_dir=DOCS)
import os
print(report.codes(), os.environ["GX_ANALYTICS_ENABLED"])
"""


def test_it_asks_no_network_sends_nothing_and_says_nothing(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GX_")}
    script = ALONE.replace("DOCS", repr(str(tmp_path)))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (told,) = done.stdout.splitlines()
    assert "above_hard_limit" in told and told.endswith("false")


def suite(*expectations):
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name="tried", expectations=list(expectations))


def test_every_row_at_fault_is_found_however_many():
    from great_expectations import expectations as gxe

    expectation = gxe.ExpectColumnValuesToBeBetween(column="age", max_value=110, **told_with(REQUIREMENT))
    (finding,) = Engine().run(suite(expectation), pd.DataFrame({"age": [200.0, 50.0] * 1000}))
    assert finding.requirement == REQUIREMENT
    assert finding.where == tuple(range(0, 2000, 2))


def test_an_expectation_that_cannot_be_evaluated_is_a_failure_and_not_a_pass():
    from great_expectations import expectations as gxe

    expectation = gxe.ExpectColumnValuesToBeBetween(column="age", max_value=110, **told_with(REQUIREMENT))
    with pytest.raises(ExpectationFailed, match=r"age_years \(above_hard_limit\)"):
        Engine().run(suite(expectation), pd.DataFrame({"weight": [70.0]}))
