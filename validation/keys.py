"""The fields that name a row: which patient, and at which site."""

from __future__ import annotations

from dataclasses import dataclass

from features import Field, Kind, Role, Specification, SpecificationError


@dataclass(frozen=True, slots=True)
class Keys:
    """The pseudonym of the patient and that of the site."""

    patient: Field
    site: Field

    @classmethod
    def of(cls, spec: Specification) -> Keys:
        """Find them: the textual keys of the specification are the patient's and then the site's.

        Raises
        ------
        SpecificationError
            When there are not exactly two.
        """
        keys = [f for f in spec.field_with(Role.KEY) if f.kind is Kind.TEXT]
        if len(keys) != 2:
            named = ", ".join(f.name for f in keys) or "none"
            raise SpecificationError(f"the textual keys must be two, the patient's and then the site's; found {named}")
        return cls(*keys)
