"""A profile tells what patients were like and never what one of them was."""

import json

import numpy as np
import pytest

from features import Patients, load_specification
from validation.monitoring.profile import LEAST, SHOWN, Profile, ProfileRefused, profile

SPEC = load_specification()
FOLFOX, CAPOX = SPEC.regimens.regimen("folfox", "bevacizumab"), SPEC.regimens.regimen("capox", "none")


def patients(n=200, **columns):
    rng = np.random.default_rng(2)
    raw = {
        "age_years": [int(a) for a in rng.integers(40, 85, n)],
        "sex": list(rng.choice(["female", "male"], n)),
        "albumin_g_l": [None if rng.random() < 0.3 else float(rng.normal(40, 4)) for _ in range(n)],
        "ras_status": list(rng.choice(["wt", "mutant", "not_tested"], n)),
        "bilobar": [bool(b) for b in rng.random(n) < 0.6],
    }
    return Patients.from_raw(SPEC, n, {**raw, **columns})


def made(n=200, **columns):
    return profile(patients(n, **columns), [FOLFOX] * (n - 3) + [CAPOX] * 3)


def column(found, name):
    return next(c for c in found.columns if c.column == name)


def test_a_profile_survives_its_json():
    found = made()
    assert Profile.model_validate_json(found.model_dump_json()) == found


def test_a_regimen_of_three_patients_is_not_told():
    assert [(r.backbone, r.biologic) for r in made().regimens] == [FOLFOX.key]


def test_codes_of_a_few_patients_share_a_cell():
    ras = ["wt"] * 100 + ["mutant"] * 98 + ["pending"] * 2
    found = column(made(ras_status=ras), "ras_status")
    codes = SPEC.codes("ras_status")
    cells = [{codes[i] for i in group} for group in found.groups]
    assert {"wt"} in cells or {"mutant"} in cells
    assert not any(cell == {"pending"} for cell in cells)
    assert all(share == 0 or share * found.known >= SHOWN - 0.1 for share in found.shares)


def test_a_few_missing_values_are_told_as_none():
    albumin = [None] * 3 + [40.0 + i / 10 for i in range(197)]
    assert column(made(albumin_g_l=albumin), "albumin_g_l").missing == 0.0
    assert column(made(), "albumin_g_l").missing == pytest.approx(0.3, abs=0.08)


def test_no_edge_of_a_cell_is_a_patients_value():
    albumin = list(np.random.default_rng(4).normal(40, 4, 200))
    found = column(made(albumin_g_l=albumin), "albumin_g_l")
    assert len(found.edges) == 4
    assert not set(found.edges) & set(albumin)
    ages = column(made(), "age_years")
    assert all(edge != int(edge) for edge in ages.edges)


def test_codes_that_mean_not_known_count_as_missing():
    assert column(made(ras_status=["not_tested"] * 100 + ["wt"] * 100), "ras_status").missing == 0.5


def test_too_few_patients_make_no_reference():
    with pytest.raises(ProfileRefused, match=f"at least {LEAST}"):
        profile(patients(20), [FOLFOX] * 20)


def test_only_what_is_asked_is_described():
    told = json.loads(made().model_dump_json())
    names = {c["field"] for c in told["columns"]}
    assert names <= {f.name for f in SPEC.asked}
