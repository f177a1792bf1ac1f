"""The reliability plot shows what was held out, with its doubt."""

import numpy as np
import pytest

from training.crossfit import assess
from training.encoded import encode
from training.plots import reliability_figure
from training.splits import choose_split, folds


@pytest.fixture(scope="module")
def figure(cohort, prior, spec):
    encoded = encode(cohort, prior, spec)
    split = choose_split(cohort.site, cohort.index_date)
    found = assess("evidence", encoded, folds(split, cohort.site, cohort.index_date))
    return reliability_figure(found, encoded), encoded


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_every_outcome_has_a_panel_with_its_patients_and_events(figure, spec):
    drawn, encoded = figure
    for axes, name in zip(panels(drawn), spec.outcomes.names, strict=True):
        rows = encoded.reported(name)
        events = int(encoded.outcomes[name][rows].sum())
        assert axes.get_title() == f"{spec.outcomes[name].label}\n{int(rows.sum())} patients, {events} events"


def test_points_have_intervals_around_them(figure):
    drawn, _ = figure
    for axes in panels(drawn):
        for bars in axes.containers:
            points = np.asarray(bars[0].get_ydata())
            segments = bars[2][0].get_segments()
            assert all(low[1] <= y <= high[1] for y, (low, high) in zip(points, segments, strict=True))


def test_a_curve_is_drawn_only_where_there_are_events_enough(figure, spec):
    drawn, encoded = figure
    for axes, name in zip(panels(drawn), spec.outcomes.names, strict=True):
        y = encoded.outcomes[name][encoded.reported(name)]
        enough = min(y.sum(), len(y) - y.sum()) >= 100
        curves = [line for line in axes.lines if len(line.get_xdata()) > 8]
        assert bool(curves) == enough
