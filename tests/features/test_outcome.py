"""The outcome tree makes incoherent answers impossible."""

import pytest
from pydantic import ValidationError

from features import load_specification
from features.outcome import OutcomeTree


def test_a_child_is_never_more_likely_than_its_parent():
    tree = load_specification().outcomes
    reported = tree.product({name: 0.5 for name in tree.names})
    assert reported["resection_12m"] == 0.5
    assert reported["conversion_12m"] == 0.25
    assert reported["r0_resection_12m"] == 0.125
    # Conditional on resection, so resection itself does not multiply in.
    assert reported["any_complication"] == 0.5
    assert reported["major_complication"] == 0.25
    assert reported["mortality_90d"] == 0.125
    assert reported["sinusoidal_injury"] == 0.5


def test_a_tree_with_a_child_before_its_parent_is_refused():
    declared = [o.model_dump(by_alias=True, exclude_none=True) for o in load_specification().outcomes.outcomes]
    with pytest.raises(ValidationError, match="must be declared before it"):
        OutcomeTree.model_validate({"outcomes": declared[::-1]})
