from importlib.resources import files

import pytest
import yaml

from features import SpecificationError
from training.effects.declared import RegimenPart, alike, components, load_contrasts, resolve


@pytest.fixture
def declared():
    return yaml.safe_load((files("training.effects") / "contrasts.yaml").read_text("utf-8"))


def test_arms_are_the_regimens_that_their_drugs_say(spec):
    contrasts, selection = load_contrasts(spec)
    found = {
        c.declared.name: tuple({components(spec, c.part)[i] for i in arm} for arm in (c.first, c.second))
        for c in contrasts
    }
    assert found["triplet_against_doublet"] == ({"folfoxiri"}, {"capox", "folfox", "folfiri"})
    assert found["oxaliplatin_against_irinotecan"] == ({"capox", "folfox"}, {"folfiri"})
    assert found["single_agent_against_doublet"] == ({"fulv"}, {"capox", "folfox", "folfiri"})
    assert found["bevacizumab_against_none"] == ({"bevacizumab"}, {"none"})
    assert found["anti_egfr_against_none"] == ({"cetuximab", "panitumumab"}, {"none"})
    assert selection is not None
    assert selection.contrast in found


def test_what_is_never_given_is_said_not_to_be_estimated(spec):
    contrasts, _ = load_contrasts(spec)
    words = [c.declared.not_estimated for c in contrasts if c.declared.not_estimated]
    assert len(words) == 1
    assert "RAS-mutant" in words[0]
    assert "not estimated" in words[0]


def test_only_components_of_the_same_arms_may_share_a_propensity(spec):
    contrasts, _ = load_contrasts(spec)
    names = components(spec, RegimenPart.BACKBONE)
    groups = alike(contrasts, RegimenPart.BACKBONE, len(names))
    assert {frozenset(names[i] for i in g) for g in groups} == {
        frozenset({"fulv"}),
        frozenset({"capox", "folfox"}),
        frozenset({"folfiri"}),
        frozenset({"folfoxiri"}),
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c.update(first={"label": "x", "when": {"fact": "aspirin", "is": 1}}), "aspirin is no drug"),
        (lambda c: c.update(first={"label": "x", "when": {"fact": "oxaliplatin", "is": 7}}), "its arms must each be"),
        (lambda c: c.update(second=c["first"]), "share none"),
        (
            lambda c: c.update(
                first={
                    "label": "x",
                    "when": {"all": [{"fact": "oxaliplatin", "is": 1}, {"fact": "bevacizumab", "is": 1}]},
                }
            ),
            "its arms must each be",
        ),
        (lambda c: c.update(among={"fact": "ras_status", "is": "wt"}), "say among whom"),
        (
            lambda c: c.update(among={"fact": "recist_best_response", "is": "pr"}, among_label="x"),
            "recist_best_response is no field asked before cycle 1",
        ),
        (lambda c: c.update(among={"fact": "ras_status", "is": "blue"}, among_label="x"), "blue is not a code"),
        (lambda c: c.update(colour="red"), "colour"),
    ],
)
def test_an_entry_that_does_not_fit_is_named(declared, spec, change, complaint):
    change(declared["contrasts"][0])
    with pytest.raises(SpecificationError, match=complaint):
        resolve(declared, spec)


def test_all_faults_are_told_at_once(declared, spec):
    declared["contrasts"][0]["first"]["when"] = {"fact": "aspirin", "is": 1}
    declared["selection"] = {"contrast": "no_such", "decision": "x", "points": [15, 3]}
    with pytest.raises(SpecificationError) as caught:
        resolve(declared, spec)
    for part in ("aspirin", "unknown contrast no_such", "points must rise"):
        assert part in str(caught.value)
