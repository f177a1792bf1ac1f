"""Names of the columns that are no names of the specification, loaded from data and checked against it."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import yaml

from features import Specification, SpecificationError
from features.field import Frozen


class PredictionKeys(Frozen):
    """Columns of the predictions: which, when and by which model."""

    key: str
    when: str
    version: str


class OutcomeKeys(Frozen):
    """Columns of the outcomes: of which prediction."""

    key: str


class FileLayout(Frozen):
    """See ``data/files.yaml``."""

    predictions: PredictionKeys
    outcomes: OutcomeKeys
    flag_profile: str


@lru_cache(maxsize=4)
def load_file_layout(spec: Specification) -> FileLayout:
    """Load the layout that ships with the project.

    Raises
    ------
    SpecificationError
        Naming every entry that does not fit the specification.
    """
    layout = FileLayout.model_validate(
        yaml.safe_load((files("training.monitor") / "data" / "files.yaml").read_text("utf-8"))
    )
    names = {*layout.predictions.model_dump().values(), layout.outcomes.key}
    taken = sorted(names & {*spec.fields, *spec.outcomes.names})
    found = [f"monitor's files: {name} is also a field or an outcome" for name in taken]
    if layout.flag_profile not in spec.flags.profiles:
        found.append(f"monitor's files: flag profile {layout.flag_profile} is none of {', '.join(spec.flags.profiles)}")
    if found:
        raise SpecificationError("\n".join(found))
    return layout
