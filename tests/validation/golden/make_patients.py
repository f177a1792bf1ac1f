"""Make the patients on whom the golden numbers were computed: ``python make_patients.py`` writes ``patients.csv``.

Predictions are rounded to three digits, so that there are ties and predictions that equal a threshold.
"""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20240229)
n = 500
signal, other = rng.normal(size=n), rng.normal(size=n)
truth = 1 / (1 + np.exp(-(-0.9 + 0.9 * signal + 0.4 * signal**2 * (signal < 0))))


def rounded(log_odds: np.ndarray) -> np.ndarray:
    return np.clip(1 / (1 + np.exp(-log_odds)), 0.004, 0.996).round(3)


patients = pd.DataFrame(
    {
        "y": (rng.random(n) < truth).astype(int),
        "a": rounded(-0.6 + 1.3 * signal + 0.4 * other),
        "b": rounded(-0.9 + 0.6 * signal + 0.5 * rng.normal(size=n)),
    }
)
patients.to_csv(Path(__file__).with_name("patients.csv"), index=False)
