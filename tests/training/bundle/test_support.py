"""Support counts comparable real patients and reveals no small cell."""

import pytest

from features import Patients
from training.bundle import Support
from training.bundle.support import level


@pytest.fixture
def folfox(spec):
    return spec.regimens.regimen("folfox", "none")


@pytest.fixture
def support(spec, folfox):
    mutant, wild = {"ras_status": "mutant", "age_years": 60}, {"ras_status": "wt", "age_years": 60}
    records = [mutant] * 30 + [wild] * 7 + [{"ras_status": "mutant", "age_years": 80}] * 3
    return Support.of(spec, Patients.from_records(spec, records), [folfox] * 40)


def comparable(support, spec, regimen, **record):
    stratum = spec.encoding.strata(Patients.from_records(spec, [record]))[0]
    return support.comparable(stratum, regimen.key)


def test_only_patients_who_agree_on_what_is_known_are_comparable(support, spec, folfox):
    assert comparable(support, spec, folfox, ras_status="mutant", age_years=55) == 30
    assert comparable(support, spec, folfox, ras_status="wt", age_years=55) == 7
    assert comparable(support, spec, folfox, age_years=55) == 37


def test_fewer_than_five_patients_are_not_shown(support, spec, folfox):
    assert comparable(support, spec, folfox, ras_status="mutant", age_years=80) == 0


def test_another_regimen_has_no_support(support, spec):
    assert comparable(support, spec, spec.regimens.regimen("folfiri", "none"), age_years=55) == 0


@pytest.mark.parametrize(
    ("patients", "said"), [(0, "none"), (4, "none"), (5, "limited"), (19, "limited"), (20, "good")]
)
def test_the_level_follows_the_count(patients, said):
    assert level(patients) == said
