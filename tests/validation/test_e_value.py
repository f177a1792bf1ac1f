"""Golden numbers: VanderWeele and Ding, Ann Intern Med 2017, as the R package EValue 4.1.3 prints them."""

import pytest

from validation.e_value import e_value


@pytest.mark.parametrize(
    ("ratio", "low", "high", "estimate", "limit"),
    [
        (3.9, 1.8, 8.7, 7.26, 3.0),  # Victora 1987, the paper's main example; episensr prints 7.263034
        (0.80, 0.71, 0.91, 1.81, 1.43),  # the leukaemia example of evalues.RR
        (10.73, 8.02, 14.36, 20.95, 15.52),  # Hammond and Horn 1958, the vignette's example
    ],
)
def test_published_examples_are_met(ratio, low, high, estimate, limit):
    found = e_value(ratio, low, high)
    assert found.estimate == pytest.approx(estimate, abs=0.006)
    assert found.limit == pytest.approx(limit, abs=0.006)


def test_a_ratio_and_its_inverse_need_the_same_confounder():
    assert e_value(0.5, 0.4, 0.8).estimate == pytest.approx(e_value(2.0, 1.25, 2.5).estimate)


def test_an_interval_that_includes_no_difference_needs_no_confounder():
    found = e_value(1.2, 0.9, 1.6)
    assert found.limit == 1.0
    assert "no unrecorded confounder is needed" in found.text


@pytest.mark.parametrize(("ratio", "low", "high"), [(1.0, 1.2, 1.5), (0.0, 0.0, 1.0), (2.0, 1.0, float("inf"))])
def test_figures_out_of_order_are_refused(ratio, low, high):
    with pytest.raises(ValueError, match="positive"):
        e_value(ratio, low, high)
