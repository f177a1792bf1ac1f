"""Libraries that are there are not taken along, and are there afterwards."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving.lean import absent

ROOT = Path(__file__).resolve().parents[2]


def test_xgboost_predicts_the_same_without_what_it_would_take_along():
    code = (
        "import sys, numpy as np\n"
        "from serving.lean import OPTIONAL, absent\n"
        "if sys.argv[1] == 'lean':\n"
        "    with absent(OPTIONAL):\n"
        "        import xgboost as xgb\n"
        "else:\n"
        "    import xgboost as xgb\n"
        "assert any(name in sys.modules for name in OPTIONAL) == (sys.argv[1] == 'full')\n"
        "x = np.random.default_rng(1).normal(size=(200, 4)); y = (x[:, 0] > 0).astype(float)\n"
        "booster = xgb.train({'seed': 1, 'nthread': 1}, xgb.DMatrix(x, label=y), 5)\n"
        "print(booster.inplace_predict(x).sum())\n"
        "import sklearn\n"
    )
    told = [
        subprocess.run([sys.executable, "-c", code, how], cwd=ROOT, capture_output=True, text=True, timeout=60)
        for how in ("lean", "full")
    ]
    assert [done.returncode for done in told] == [0, 0], told[0].stderr + told[1].stderr
    assert told[0].stdout == told[1].stdout


def test_what_is_loaded_already_is_left_alone():
    import json

    with absent(("json", "a_library_that_is_nowhere")):
        assert sys.modules["json"] is json
        with pytest.raises(ImportError):
            __import__("a_library_that_is_nowhere")
    assert "a_library_that_is_nowhere" not in sys.modules
