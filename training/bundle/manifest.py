"""What a bundle says of itself, and the seal over its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from features.field import Frozen

FORMAT = 1
MANIFEST = "manifest.json"
PRIOR = "prior.json"
SPECIFICATION = "specification.json"
SUPPORT = "support.json"
CALIBRATION = "calibration.json"
SHOWN = "shown.json"  # effects moved by simulated patients, beside the evidence that keeps its doubt
CHECKSUMS = "checksums.json"

Learner = Literal["evidence", "logistic", "xgboost", "xgboost_prior"]
Basis = Literal["evidence", "simulated", "registry"]


class TrainedOn(Frozen):
    """The data behind a model.

    Attributes
    ----------
    kind
        ``evidence`` (published studies alone), ``simulated`` (invented patients) or ``registry`` (real patients).
    text
        One sentence for the page.
    data_digest
        SHA-256 of the registry file; of the evidence tables when there is none.
    """

    kind: Basis
    text: str
    patients: int = 0
    sites: int = 0
    first_date: str | None = None
    last_date: str | None = None
    data_digest: str


class Recalibration(Frozen):
    """How later patients moved a model's level and the reach of its prognosis, its regimen contrasts kept.

    Attributes
    ----------
    intercept, slope
        On the log-odds under the reference regimen (`training.bundle.scores.reference_regimen`): what they add there
        is added under every regimen, so that contrasts on the log-odds scale stay as they were.
    update_of
        Version of the model that was recalibrated last.
    patients, events
        Behind the last recalibration, given the parent event.
    last_date
        When the last of these patients began.
    """

    intercept: float = 0.0
    slope: float = 1.0
    update_of: str
    patients: int
    events: int
    last_date: str


class OutcomeModel(Frozen):
    """How one outcome is answered.

    Attributes
    ----------
    file
        The learned model inside the bundle; None when the evidence prior answers (recalibrated or not).
    calibration
        Intercept and slope learned on out-of-fold predictions, applied to what was learned.
    recalibration
        Applied last; None when the model is as it was trained.
    lack_of_fit
        Standard deviation, on the log-odds scale, of what the evidence's form misses in single patients.
    patients, events
        Training rows given the parent event, and how many had the outcome.
    reason
        Why nothing was learned, when nothing was.
    """

    outcome: str
    learner: Learner
    file: str | None = None
    calibration: tuple[float, float] = (0.0, 1.0)
    recalibration: Recalibration | None = None
    lack_of_fit: float = 0.0
    patients: int = 0
    events: int = 0
    reason: str | None = None


class Manifest(Frozen):
    """Identity of a bundle."""

    format: int = FORMAT
    name: str
    version: str = "unregistered"
    learner: Learner
    created: str
    code_version: str
    spec_digest: str
    trained_on: TrainedOn
    outcomes: tuple[OutcomeModel, ...]

    @property
    def simulated(self) -> bool:
        """Whether invented patients shaped the numbers."""
        return self.trained_on.kind == "simulated"


class BundleRefused(ValueError):
    """A bundle that must not be served.

    Attributes
    ----------
    code
        ``missing``, ``checksum``, ``format``, ``digest`` or ``malformed``.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def seal(folder: Path) -> None:
    """Write the checksums of every file in the folder."""
    sums = {str(p.relative_to(folder)): checksum(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    sums.pop(CHECKSUMS, None)
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n", "utf-8")


def check_seal(folder: Path) -> str:
    """Refuse a folder whose files are not exactly those that were sealed.

    Returns
    -------
    str
        SHA-256 of the file of checksums, hexadecimal: it stands for every byte of the bundle.

    Raises
    ------
    BundleRefused
        Naming every file that is missing, changed or not listed.
    """
    sealed = folder / CHECKSUMS
    if not sealed.is_file():
        raise BundleRefused("missing", f"{folder.name} is not a bundle: it has no {CHECKSUMS}")
    listed = sealed.read_bytes()
    try:
        sums: dict[str, str] = json.loads(listed)
    except ValueError:
        raise BundleRefused("malformed", f"{CHECKSUMS} cannot be read") from None
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {CHECKSUMS}
    faults = [f"{name} is missing" for name in sums if name not in present]
    faults += [f"{name} is not listed" for name in sorted(present - set(sums))]
    faults += [f"{name} was changed" for name, s in sums.items() if name in present and checksum(folder / name) != s]
    if faults:
        raise BundleRefused("checksum", "the bundle's files do not match their checksums: " + "; ".join(faults))
    return hashlib.sha256(listed).hexdigest()
