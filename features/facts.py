"""Facts: what conditions may ask of one patient and one regimen, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from features.availability import Time
from features.patients import Patients
from features.regimen import Regimen

if TYPE_CHECKING:
    from features.specification import Specification


def patient_facts(
    spec: Specification, record: Mapping[str, Any], time: Time = Time.BASELINE, coded: Patients | None = None
) -> dict[str, Any]:
    """Recorded values of one patient with the derived fields known by `time`; None where not known.

    Parameters
    ----------
    record
        Raw, valid values by field.
    coded
        The same patient alone, where it has been coded already.
    """
    facts: dict[str, Any] = {name: value for name, value in record.items() if spec.fields[name].known_at.by(time)}
    patient = coded if coded is not None and len(facts) == len(record) else Patients.from_records(spec, [facts])
    for derived in spec.derived.values():
        if derived.known_at.by(time):
            value = float(patient[derived.name][0])
            codes = list(derived.codes)
            facts[derived.name] = None if value != value else codes[int(value)] if codes else value
    return facts


def regimen_facts(regimen: Regimen) -> dict[str, Any]:
    """Drugs, classes, planned duration and planned doses of one regimen."""
    return {
        **regimen.exposures,
        "regimen_backbone": regimen.backbone,
        "regimen_biologic": regimen.biologic,
        "planned_weeks": regimen.planned_weeks,
        "planned_cycles": regimen.planned_cycles,
        **{f"planned_dose_{drug}": dose for drug, dose in regimen.cumulative_dose.items()},
    }
