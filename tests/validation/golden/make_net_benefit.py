"""Golden net benefit from dcurves: ``python make_net_benefit.py`` writes ``net_benefit.json`` from ``patients.csv``.

In an environment of its own, because dcurves is not a dependency: ``pip install dcurves==1.1.7``.
"""

import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from dcurves import dca

here = Path(__file__).parent
patients = pd.read_csv(here / "patients.csv")
thresholds = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]
found = dca(data=patients, outcome="y", modelnames=["a", "b"], thresholds=thresholds)
golden = {
    "by": f"dcurves {version('dcurves')}",
    "thresholds": thresholds,
    "net_benefit": {
        model: [round(float(v), 12) for v in found[found.model == model].sort_values("threshold").net_benefit]
        for model in ("a", "b", "all")
    },
}
(here / "net_benefit.json").write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")
