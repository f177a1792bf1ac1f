"""Great Expectations, run in memory: a suite and a table go in, what is not met comes out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from validation.requirement import Requirement

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite

#: Row positions rather than values: a report and its Data Docs hold no patient's value.
_RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


class ExpectationFailed(RuntimeError):
    """An expectation could not be evaluated: a fault of this program, never of the data."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An expectation that was not met: where, by the index of its table."""

    requirement: Requirement
    where: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many expectations of a suite were evaluated, and how many were not met."""

    evaluated: int
    unmet: int


class Engine:
    """Great Expectations in memory, without telemetry and without a word on the terminal.

    Attributes
    ----------
    tallies
        Of the suites that ran, by name, in order.
    """

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when a context is made
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self.tallies: dict[str, Tally] = {}
        self._source = self.context.data_sources.add_pandas("registry")

    def run(self, suite: ExpectationSuite, table: pd.DataFrame) -> list[Finding]:
        """Run one suite over one table.

        Raises
        ------
        ExpectationFailed
            When an expectation raised instead of judging.
        """
        import great_expectations as gx

        suite = self.context.suites.add(suite)
        batch = self._source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("whole")
        definition = gx.ValidationDefinition(name=suite.name, data=batch, suite=suite)
        definition = self.context.validation_definitions.add(definition)
        checkpoint = gx.Checkpoint(name=suite.name, validation_definitions=[definition], result_format=_RESULT_FORMAT)
        checkpoint = self.context.checkpoints.add(checkpoint)
        # What is judged, and no more: Great Expectations copies the table for every column with gaps. Its single
        # named index is how it says where an expectation is not met.
        judged = [c for c in table.columns if any(getattr(e, "column", None) == c for e in suite.expectations)]
        table = table[judged].rename_axis("at")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pandas, on groups in a pattern that GX only matches
            result = checkpoint.run(batch_parameters={"dataframe": table})
        (outcome,) = result.run_results.values()
        findings = list(_findings(outcome))
        self.tallies[suite.name] = Tally(len(outcome.results), len(findings))
        return findings


def _findings(outcome: Any) -> Iterator[Finding]:
    for result in outcome.results:
        requirement = Requirement.read(result.expectation_config.meta)
        if raised := _raised(result.exception_info):
            expectation = result.expectation_config.type
            raise ExpectationFailed(f"{expectation} on {requirement.field} ({requirement.code}): {raised}")
        if not result.success:
            listed = result.result.get("unexpected_index_list") or [{}]
            yield Finding(requirement, tuple(listed[0].get("at", ())))


def _raised(info: dict[str, Any]) -> str:
    """The exception of a result, which one metric or several may have raised."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((str(e["exception_message"]) for e in entries if e.get("raised_exception")), "")
