"""The calibration that a bundle carries, as the page shows it."""

from playwright.sync_api import expect

from tests.serving.page.canned import SPEC
from training.bundle import Calibration, Curve
from training.evidence.arm_calibration import load_calibration
from training.evidence.committed import load_parameters

PRIMARY = SPEC.outcomes.names[3]


def told(calibration):
    return {"calibration": calibration.model_dump(mode="json", exclude={"data_digest"}, exclude_none=True)}


def test_the_evidence_shows_a_line_for_each_outcome_that_enough_trial_arms_counted(answered):
    carried = load_calibration(load_parameters().evidence_digest)
    panel = answered("FOLFOX", view="sources", known=told(carried)).locator("#panel-sources")
    expect(panel.locator("figure.curve path.curve")).to_have_count(len(carried.curves))
    expect(panel).to_contain_text("No patient's outcome was compared with this model.")
    for figure, (name, curve) in zip(panel.locator("figcaption").all(), carried.curves.items(), strict=True):
        expect(figure).to_contain_text(SPEC.outcomes[name].label)
        expect(figure).to_contain_text(f"Of {curve.arms} trial arms of {curve.studies} studies.")


def test_a_curve_says_of_how_many_patients_it_is_and_how_many_had_the_outcome(answered):
    curve = Curve(predicted=(0.1, 0.5), observed=(0.1, 0.4), low=(0, 0.3), high=(0.2, 0.5), patients=1203, events=310)
    text = "Simulated patients: how the model does on invented patients, which says nothing of real ones."
    carried = Calibration(basis="simulated", data_digest="0" * 64, text=text, curves={PRIMARY: curve})
    panel = answered("FOLFOX", view="sources", known=told(carried)).locator("#panel-sources")
    expect(panel).to_contain_text(text)
    expect(panel.locator("figcaption")).to_contain_text("Of 1,203 patients, 310 with it.")


def test_a_model_without_curves_says_why_in_its_own_words(answered):
    why = "There is no calibration plot: this model was recalibrated, and the curves from before say nothing of it."
    carried = Calibration(basis="registry", data_digest="0" * 64, text=why)
    panel = answered("FOLFOX", view="sources", known=told(carried)).locator("#panel-sources")
    expect(panel.locator(".calibration p")).to_have_text(why)
