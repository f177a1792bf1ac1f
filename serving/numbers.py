"""The numbers of an answer, as they are written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.bundle.scored import Scores

#: A hundredth of a percentage point: finer than any evidence, coarse enough to read.
DIGITS = 4


def stacked(scores: Scores) -> NDArray[np.float64]:
    """All numbers of the answers, shape (n, r, 3 o + 9).

    By regimen: each outcome's probability, low and high; the states; each state's low and high.
    """
    _, n, _, r = scores.stacked.shape
    outcomes = np.round(scores.stacked, DIGITS).transpose(1, 3, 2, 0).reshape(n, r, -1)
    # The states are left unrounded, so that they sum to 1 as far as floating point goes; their ranges are rounded
    # outwards, so that no state lies outside its own.
    states = np.stack(list(scores.states.values()), axis=-1)
    low, high = 10**DIGITS * scores.state_bounds
    ranges = np.stack([np.floor(low), np.ceil(high)], axis=-1) / 10**DIGITS
    numbers = np.concatenate([outcomes, states, ranges.transpose(0, 2, 1, 3).reshape(n, r, -1)], axis=2)
    if not np.isfinite(numbers).all():
        raise ValueError("a number of the answer is not finite")
    return numbers
