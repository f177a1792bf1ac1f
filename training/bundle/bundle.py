"""The bundle: a folder of JSON and UBJ files that is a served model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from features import Patients, Regimen, Specification
from training.bundle.calibration import Calibration, without_curves
from training.bundle.coefficients import PriorParameters
from training.bundle.learned import Learned, load_learned
from training.bundle.manifest import (
    CALIBRATION,
    FORMAT,
    MANIFEST,
    PRIOR,
    SHOWN,
    SPECIFICATION,
    SUPPORT,
    BundleRefused,
    Manifest,
    check_seal,
    seal,
)
from training.bundle.prior import Prior
from training.bundle.scored import Comparison, Scores
from training.bundle.scores import Engine
from training.bundle.support import Support


class Bundle:
    """A model ready to answer: manifest, prior, learned parts and support.

    Attributes
    ----------
    digest
        SHA-256 of the folder's file of checksums, taken when it was loaded; None for one that comes from no folder.
    calibration
        How the model did on what it had not seen, or why that is not known.
    """

    def __init__(
        self,
        manifest: Manifest,
        prior: Prior,
        spec: Specification,
        learned: Mapping[str, Learned] | None = None,
        support: Support | None = None,
        shown: Prior | None = None,
        digest: str | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.manifest, self.prior, self.spec, self.digest = manifest, prior, spec, digest
        self.support = support or Support()
        self.calibration = calibration or without_curves(manifest)
        self.engine = Engine(spec, prior, manifest.outcomes, learned or {}, shown)

    def score(self, patients: Patients, regimens: Sequence[Regimen], intervals: bool = True) -> Scores:
        """Score patients under regimens; see `Engine.score`."""
        return self.engine.score(patients, regimens, intervals)

    def compare(self, patients: Patients, first: Regimen, second: Regimen) -> Comparison:
        """Compare two regimens; see `Engine.compare`."""
        return self.engine.compare(patients, first, second)


def save_bundle(
    folder: Path,
    manifest: Manifest,
    parameters: PriorParameters,
    spec: Specification,
    support: Support,
    write_learned: Mapping[str, Callable[[Path], None]] | None = None,
    calibration: Calibration | None = None,
) -> Path:
    """Write a bundle folder and seal it.

    Parameters
    ----------
    folder
        Must not exist yet, so that nothing half-written is ever mistaken for a bundle.
    write_learned
        By file name in the bundle: a function that writes the learned model to the path it is given.
    calibration
        How the model did on what it had not seen; None when it was not judged.
    """
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
    (folder / PRIOR).write_text(parameters.model_dump_json(indent=1) + "\n", "utf-8")
    (folder / SPECIFICATION).write_text(json.dumps(spec.canonical, indent=1, sort_keys=True) + "\n", "utf-8")
    (folder / SUPPORT).write_text(support.model_dump_json(indent=1) + "\n", "utf-8")
    for name, write in (write_learned or {}).items():
        write(folder / name)
    if calibration is not None:
        (folder / CALIBRATION).write_text(_compact(calibration), "utf-8")
    seal(folder)
    return folder


def add_calibration(folder: Path, calibration: Calibration) -> None:
    """Put curves into a bundle that was judged only after it was written, and seal it anew.

    Raises
    ------
    BundleRefused
        When the bundle is not as it was sealed.
    """
    check_seal(folder)
    (folder / CALIBRATION).write_text(_compact(calibration), "utf-8")
    seal(folder)


def _compact(calibration: Calibration) -> str:
    return calibration.model_dump_json(exclude_none=True) + "\n"


def rename_bundle(source: Path, folder: Path, version: str) -> Path:
    """Copy a bundle, stamping the version under which it is registered."""
    check_seal(source)
    manifest = Manifest.model_validate_json((source / MANIFEST).read_text("utf-8"))
    return rewrite_bundle(source, folder, manifest.model_copy(update={"version": version}))


def rewrite_bundle(source: Path, folder: Path, manifest: Manifest) -> Path:
    """Copy a bundle under another manifest, and seal the copy.

    Calibration curves are those of the model that was judged: they are left behind when the copy answers an outcome in
    another way.

    Parameters
    ----------
    folder
        Must not exist yet.

    Raises
    ------
    BundleRefused
        When the source is not as it was sealed.
    """
    check_seal(source)
    folder.mkdir(parents=True)
    same = Manifest.model_validate_json((source / MANIFEST).read_text("utf-8")).outcomes == manifest.outcomes
    for path in source.iterdir():
        if same or path.name != CALIBRATION:
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
    seal(folder)
    return folder


def load_bundle(folder: Path | str, spec: Specification) -> Bundle:
    """Load a bundle, refusing anything that is not exactly what was trained against this specification.

    Raises
    ------
    BundleRefused
        With a code and a reason: missing, checksum, format, digest (naming both digests and what differs) or
        malformed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleRefused("missing", "there is no bundle folder at the given place")
    digest = check_seal(folder)
    try:
        raw = json.loads((folder / MANIFEST).read_text("utf-8"))
        if raw.get("format") != FORMAT:
            raise BundleRefused("format", f"the bundle has format {raw.get('format')}; this version reads {FORMAT}")
        manifest = Manifest.model_validate(raw)
        if manifest.spec_digest != spec.digest:
            differing = spec.differences(json.loads((folder / SPECIFICATION).read_text("utf-8")))
            raise BundleRefused(
                "digest",
                f"the model was trained against specification {manifest.spec_digest}, this service has {spec.digest}; "
                f"they differ in {'; '.join(differing) or 'nothing that can be named'}. Retrain the model.",
            )
        prior = Prior(PriorParameters.model_validate_json((folder / PRIOR).read_text("utf-8")), spec)
        shown = None
        if (folder / SHOWN).is_file():
            shown = Prior(PriorParameters.model_validate_json((folder / SHOWN).read_text("utf-8")), spec)
        support = Support.model_validate_json((folder / SUPPORT).read_text("utf-8"))
        calibration = None
        if (folder / CALIBRATION).is_file():
            calibration = Calibration.model_validate_json((folder / CALIBRATION).read_text("utf-8"))
            calibration.check(manifest, spec)
        learned = {m.outcome: load_learned(folder / m.file, spec) for m in manifest.outcomes if m.file is not None}
        missing = set(spec.outcomes.names) - {m.outcome for m in manifest.outcomes}
        if missing:
            raise BundleRefused("malformed", f"the bundle does not answer {', '.join(sorted(missing))}")
    except BundleRefused:
        raise
    except (ValidationError, ValueError, KeyError, TypeError, OSError) as error:
        raise BundleRefused("malformed", f"the bundle cannot be read: {type(error).__name__}") from error
    return Bundle(manifest, prior, spec, learned, support, shown, digest, calibration)
