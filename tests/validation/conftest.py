"""A small registry in which nothing is wrong, and the means to spoil it."""

import datetime as dt
from collections.abc import Callable
from random import Random
from typing import Any

import pandas as pd
import pytest

from features import Specification, load_specification
from validation.checkpoint import validate_registry
from validation.report import Defect, ValidationReport

ROWS, SITES = 120, 4


@pytest.fixture(scope="session")
def spec() -> Specification:
    return load_specification()


def patient(i: int) -> dict[str, Any]:
    """One believable patient; about half are operated on."""
    random = Random(i)
    start = dt.date(2021, 1, 1) + dt.timedelta(days=i)
    operated, converted = random.random() < 0.5, random.random() < 0.6
    return {
        "record_id": f"P{i:04d}",
        "site_id": f"S{i % SITES}",
        "index_date": start,
        "age_years": 45 + i % 40,
        "sex": ["female", "male"][i % 2],
        "ecog_ps": i % 3,
        "bmi_kg_m2": 20 + i % 13 + 0.5,
        "primary_site": ["caecum", "sigmoid", "rectum"][i % 3],
        "bilobar": i % 4 != 0,
        "n_liver_metastases": 1 + i % 20,
        "largest_met_diameter_mm": float(26 + (i * 7) % 90),
        "extrahepatic_disease": [["none"], ["lung"], ["lung", "nodal"]][i % 3],
        "albumin_g_l": 30.0 + (i * 3) % 18,
        "bilirubin_umol_l": 5.0 + (i * 5) % 14,
        "ras_status": ["wt", "mutant", "not_tested"][(i // 2) % 3],
        "planned_backbone": ["folfox", "folfiri", "capox"][i % 3],
        "planned_biologic": ["bevacizumab", "none"][i % 2],
        "planned_cycles": 4 + i % 5,
        "local_treatment": "resection" if operated else "none",
        "resection_date": start + dt.timedelta(days=150) if operated else None,
        "all_disease_removed": converted if operated else None,
        "r_status": random.choice(["r0", "r1"] if converted else ["r2"]) if operated else None,
        "clavien_dindo_max": random.choice(["none", "i", "ii", "iiia"]) if operated else None,
        "last_contact_date": start + dt.timedelta(days=700),
        "death_date": None,
    }


@pytest.fixture(scope="session")
def clean() -> Callable[[], pd.DataFrame]:
    """Make a clean registry, its columns of objects as the reader gives them."""
    records = [patient(i) for i in range(ROWS)]
    return lambda: pd.DataFrame({name: pd.Series([r[name] for r in records], dtype=object) for name in records[0]})


@pytest.fixture
def registry(clean: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A clean registry to spoil."""
    return clean()


@pytest.fixture(scope="session")
def validate(spec: Specification) -> Callable[..., ValidationReport]:
    return lambda frame, **options: validate_registry(frame, spec, **options)


@pytest.fixture(scope="session")
def found() -> Callable[[ValidationReport, str], Defect]:
    """The one problem with a code."""

    def one(report: ValidationReport, code: str) -> Defect:
        named = [p for p in report.problems if p.code == code]
        assert len(named) == 1, (code, [(p.field, p.code) for p in report.problems])
        return named[0]

    return one
