"""Arms: rows of a table in the shared format, read as far as they are understood; what is not is named and left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features import Specification
from features.regimen import UnknownRegimen
from training.evidence.population import everyone, read_case_mix, read_populations
from training.evidence.tables import Cell, Row
from training.evidence.vocabulary import Vocabulary, load_vocabulary

Array = NDArray[np.float64]
NEEDED = ("study_id", "arm_id", "population", "backbone", "biologic")
READ = "read"


@dataclass(frozen=True)
class Rate:
    """One percentage of one arm.

    Attributes
    ----------
    kind
        Name of the `RateKind`.
    observed
        Share of patients, 0 to 1.
    size
        Patients, None when the source does not print them.
    """

    kind: str
    observed: float
    size: int | None


@dataclass(frozen=True)
class Arm:
    """One arm as the model sees it.

    Attributes
    ----------
    covariates, terms
        Values of the vocabulary's covariates and of the encoding's terms, averaged over patients and regimens.
    regimen_class
        Number of partner drugs and antibody, as the naive predictor groups regimens.
    stratum
        Arms of one study that share it were randomised against each other.
    """

    study: str
    arm: str
    population: str
    regimen_class: str
    regimen: str
    stratum: tuple[str, ...]
    randomised: bool
    recalled: bool
    covariates: Array = field(compare=False)
    terms: Array = field(compare=False)
    rates: tuple[Rate, ...] = ()
    identifiers: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Study and arm."""
        return f"{self.study}/{self.arm}"


@dataclass(frozen=True)
class ArmFile:
    """Arms of a file, and why others were left out (place, reason)."""

    arms: tuple[Arm, ...]
    skipped: tuple[tuple[str, str], ...]


class ArmReader:
    """Reads rows against the vocabulary and the case mix."""

    def __init__(self, spec: Specification, vocabulary: Vocabulary | None = None) -> None:
        self.spec, self.vocabulary = spec, vocabulary or load_vocabulary()
        populations = read_populations()
        faults = self.vocabulary.complaints(spec, populations)
        if faults:
            raise ValueError("\n".join(faults))
        patients = everyone(read_case_mix(), spec)
        self.terms = self.vocabulary.terms
        self._left = {
            name: spec.encoding.term_factors(populations.cut(patients, name), spec.regimens.all()[:1], self.terms)[
                0
            ].mean(axis=0)
            for name in {p for shares in self.vocabulary.selections.values() for p in shares}
        }
        regimens = spec.regimens.all()
        right = spec.encoding.term_factors(patients.take(np.arange(1)), regimens, self.terms)[1]
        self._right = {r.key: row for r, row in zip(regimens, right, strict=True)}

    def term_values(
        self, backbones: Mapping[str, float], biologics: Mapping[str, float], populations: Mapping[str, float]
    ) -> Array:
        """Average value of each term over shares of backbones, biologics and populations, shape (t,)."""
        left = sum(share * self._left[p] for p, share in populations.items())
        right = sum(
            s * t * self._right[backbone, biologic]
            for backbone, s in backbones.items()
            for biologic, t in biologics.items()
        )
        return np.asarray(left * right, dtype=float)

    def read(self, row: Row) -> Arm:
        """Read one row.

        Raises
        ------
        ValueError
            Saying which column is not understood.
        """
        words, spec = self.vocabulary, self.spec
        population, entry = str(row["population"]), str(row.get("resectability_at_entry") or "not_stated")
        for column, value, allowed in (
            ("population", population, words.populations),
            ("resectability_at_entry", entry, words.entries),
        ):
            if value not in allowed:
                raise ValueError(f"{column} {value!r} is not one of {', '.join(allowed)}")
        selection = str(row.get("molecular_selection") or "not_stated")
        if selection not in words.selections:
            raise ValueError(f"molecular_selection {selection!r} is not one of {', '.join(words.selections)}")
        shares: list[Mapping[str, float]] = []
        for column, read in (("backbone", words.backbone_shares), ("biologic", words.biologic_shares)):
            try:
                shares.append(read(spec, str(row[column])))
            except UnknownRegimen as error:
                raise ValueError(f"{column} {row[column]!r} is {error}") from None
        identifiers = {str(row["study_id"])} | {str(row[c]) for c in ("pmid", "doi") if row.get(c)}
        return Arm(
            study=str(row["study_id"]),
            arm=str(row["arm_id"]),
            population=population,
            regimen_class=self._regimen_class(shares[0], shares[1]),
            regimen=f"{row['backbone']} + {row['biologic']}",
            stratum=(population, entry, selection),
            randomised=row.get("design") == "rct",
            recalled=(row.get("verified") or READ) != READ,
            covariates=np.array([c.value(row.get(c.column)) for c in words.covariates]),
            terms=self.term_values(shares[0], shares[1], words.selections[selection]),
            rates=tuple(self._rates(row)),
            identifiers=frozenset(identifiers),
        )

    def _regimen_class(self, backbones: Mapping[str, float], biologics: Mapping[str, float]) -> str:
        catalogue = self.spec.regimens
        given = _crossed(backbones, biologics)
        exposures = {
            key: sum(share * catalogue.regimen(*pair).exposures[key] for pair, share in given.items())
            for key in (*self.vocabulary.partners, *self.vocabulary.antibodies)
        }
        partners = round(sum(exposures[key] for key in self.vocabulary.partners))
        antibody = [key for key in self.vocabulary.antibodies if exposures[key] > 0.75]
        treated = sum(exposures[key] for key in self.vocabulary.antibodies)
        return f"{partners} with {antibody[0] if antibody else 'mixed antibodies' if treated > 0.25 else 'no antibody'}"

    def _rates(self, row: Row) -> Iterator[Rate]:
        size = _count(row.get("n_patients"))
        definition = str(row.get("resection_definition") or "")
        for column in dict.fromkeys(k.column for k in self.vocabulary.kinds):
            events, percent = row.get(f"{column}_n"), row.get(f"{column}_pct")
            if isinstance(percent, float | int):
                share = float(percent) / 100
            elif isinstance(events, float | int) and size:
                share = float(events) / size
            else:
                continue
            if not 0 <= share <= 1:
                raise ValueError(f"{column}: {100 * share:g}% is not a percentage from 0 to 100")
            yield Rate(self.vocabulary.kind(column, definition).name, share, size)


def read_arm_file(text: str, reader: ArmReader) -> ArmFile:
    """Read CSV text in the shared format; columns may be missing, further ones are ignored."""
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    columns = set(rows[0]) if rows else set()
    missing = [c for c in NEEDED if c not in columns]
    if missing:
        return ArmFile((), (("header", f"no column {', '.join(missing)}: nothing can be predicted"),))
    return arm_file([{k: _cell(k, v) for k, v in row.items() if k} for row in rows], reader)


def arm_file(rows: Sequence[Row], reader: ArmReader) -> ArmFile:
    """Read rows; those that are not understood are named with the reason."""
    arms: list[Arm] = []
    skipped: list[tuple[str, str]] = []
    for number, row in enumerate(rows, start=2):
        place = f"row {number} ({row.get('study_id')}, {row.get('arm_id')})"
        empty = [c for c in NEEDED if row.get(c) in (None, "")]
        try:
            if empty:
                raise ValueError(f"{', '.join(empty)} empty")
            arm = reader.read(row)
            if not arm.rates:
                raise ValueError("no rate of response, resection or R0")
            arms.append(arm)
        except ValueError as error:
            skipped.append((place, str(error)))
    return ArmFile(tuple(arms), tuple(skipped))


def _crossed(backbones: Mapping[str, float], biologics: Mapping[str, float]) -> dict[tuple[str, str], float]:
    return {(b, a): s * t for b, s in backbones.items() for a, t in biologics.items()}


def _cell(column: str, text: str | list[str] | None) -> Cell:
    if not isinstance(text, str) or not text.strip():
        return None
    text = text.strip()
    if column.endswith(("_n", "_pct")) or column in ("n_patients", "year"):
        try:
            return float(text.rstrip("%"))
        except ValueError:
            return text  # read as missing where a number is needed
    return text


def _count(cell: Cell) -> int | None:
    return int(cell) if isinstance(cell, float | int) and cell >= 1 else None
