"""The reference of a model: its own training profile, a registry or a profile that is given, or none."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import ValidationError

from features import Specification
from training.champion import Champion, predict
from training.registry import Cohort, RegistryUnreadable, build_cohort, read_registry
from training.store import MODEL, Store
from validation.monitoring.profile import Profile, ProfileRefused, profile

PROFILE = "profile.json"  # its name among the artefacts of the run that made the model


def cohort_profile(cohort: Cohort, champion: Champion | None = None, source: str | None = None) -> Profile:
    """Profile of a cohort, with what a model predicts for it where one is given.

    Raises
    ------
    ProfileRefused
        When there are too few patients.
    """
    chances = None if champion is None else predict(champion.bundle, cohort).probability
    told = source or f"{len(cohort):,} patients the model learned from"
    return profile(cohort.patients, cohort.regimens, chances, told)


def logged_profile(store: Store, champion: Champion) -> tuple[Profile | None, str]:
    """Profile on the run that made the champion, or None, and a sentence that says which."""
    trained = champion.bundle.manifest.trained_on
    if trained.patients == 0:
        return None, "No reference: the champion learned from no patients. --reference REGISTRY gives one."
    if champion.version is not None:
        found = _download(store, champion.version)
        if found is not None:
            read = read_profile(found, champion.bundle.spec)
            return read, f"Reference: {read.source}."
    return None, "No reference: the run that made the champion holds no profile. --reference REGISTRY gives one."


def given_profile(path: Path, spec: Specification, champion: Champion | None) -> Profile:
    """Profile in a file: one that was logged (.json), or one made of a registry (.csv, .parquet).

    Raises
    ------
    ProfileRefused
        Saying what is wrong with the file.
    """
    if path.suffix.lower() == ".json":
        if not path.is_file():
            raise ProfileRefused(f"{path.name}: no such file")
        return read_profile(path.read_text("utf-8"), spec)
    try:
        registry = read_registry(path, spec)
        cohort = build_cohort(registry.frame, spec)
    except RegistryUnreadable as error:
        raise ProfileRefused(str(error)) from None
    except ValueError:
        raise ProfileRefused(f"{path.name}: not a valid registry; `resecta validate` says why") from None
    return cohort_profile(cohort, champion, f"{len(cohort):,} patients of {path.name}")


def read_profile(text: str, spec: Specification) -> Profile:
    """Parse a profile and check that it belongs to this specification.

    Raises
    ------
    ProfileRefused
        When it does not, or cannot be read.
    """
    try:
        found = Profile.model_validate_json(text)
    except ValidationError as error:
        parts = sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]})
        raise ProfileRefused(f"not a profile: {', '.join(parts) or 'no JSON'}") from None
    if found.spec_digest != spec.digest:
        raise ProfileRefused("the profile was made under another specification; make it anew")
    return found


def _download(store: Store, version: str) -> str | None:
    from mlflow.exceptions import MlflowException

    client = store.open()
    run = client.get_model_version(MODEL, version).run_id
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if run is None or all(a.path != PROFILE for a in client.list_artifacts(run)):
                return None
            return Path(client.download_artifacts(run, PROFILE, scratch)).read_text("utf-8")
        except (MlflowException, OSError):
            return None
