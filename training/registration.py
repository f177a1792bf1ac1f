"""Registration: a bundle becomes a version of the registered model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from features import Kind, Role, Specification
from training.bundle import Manifest, load_bundle, rename_bundle
from training.store import CHAMPION, MODEL, Store

STATE, REGISTERING, COMPLETE = "state", "registering", "complete"
_ROOT = Path(__file__).resolve().parent.parent


class IncompleteVersion(LookupError):
    """A version whose registration was cut short; it must not be served, and the next job removes it."""


def signature(spec: Specification) -> Any:
    """MLflow signature derived from the specification.

    Integers and booleans are doubles, because MLflow's own integers cannot be missing.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    plan = spec.field_with(Role.PLAN)
    inputs: list[Any] = [
        ColSpec(
            DataType.double if f.numeric or f.kind is Kind.BOOLEAN else DataType.string,
            f.name,
            required=f.required,
        )
        for f in (*spec.asked, *plan)
    ]
    outputs: list[Any] = [ColSpec(DataType.double, name) for name in spec.outcomes.names]
    return ModelSignature(Schema(inputs), Schema(outputs))


def input_example(spec: Specification) -> Any:
    """Build a one-row example with every asked field at a usual value."""
    import pandas as pd

    row: dict[str, object] = {}
    for field in (*spec.asked, *spec.field_with(Role.PLAN)):
        if field.numeric and field.usual is not None:
            row[field.name] = float(round((field.usual[0] + field.usual[1]) / 2))
        else:
            row[field.name] = 0.0 if field.kind is Kind.BOOLEAN else next(iter(field.codes))
        if Role.PLAN in field.roles and field.numeric:
            row[field.name] = 6.0
    return pd.DataFrame([row])


def requirements() -> list[str]:
    """What MLflow must install to load the model elsewhere; given, because inferring takes seconds."""
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("numpy", "pandas", "pydantic", "PyYAML", "scipy", "xgboost-cpu")]


def register(store: Store, bundle: Path, manifest: Manifest, spec: Specification, description: str) -> str:
    """Log a bundle in the active run and register it.

    The version counts only from the last step on, which says that what was stored loads: a process killed before
    that leaves a version that no alias may point to and that the next job removes.

    Returns
    -------
    str
        The version number.

    Raises
    ------
    BundleRefused
        When what was stored is not what was given.
    """
    import mlflow

    client = store.open()
    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(_ROOT / "training" / "model_code.py"),
        artifacts={"bundle": str(bundle)},
        code_paths=[str(part) for part in _code(bundle.parent / "code")],
        signature=signature(spec),
        input_example=input_example(spec),
        pip_requirements=requirements(),
    )
    tags = {
        STATE: REGISTERING,
        "learner": manifest.learner,
        "trained_on": manifest.trained_on.kind,
        "simulated": str(manifest.simulated).lower(),
        "spec_digest": manifest.spec_digest,
        "data_digest": manifest.trained_on.data_digest,
        "patients": str(manifest.trained_on.patients),
    }
    version = str(mlflow.register_model(logged.model_uri, MODEL, tags=tags).version)
    client.update_model_version(MODEL, version, description)
    load_bundle(_stored(store, version), spec)
    client.set_model_version_tag(MODEL, version, STATE, COMPLETE)
    return version


def is_complete(version: Any) -> bool:
    """Whether a version's registration came to its end.

    Versions from before registration had an end that is recorded carry no state; the description was the last thing
    they were given.

    Parameters
    ----------
    version
        MLflow's ``ModelVersion``.
    """
    state = version.tags.get(STATE)
    if state is None:
        return "spec_digest" in version.tags and bool(version.description)
    return bool(state == COMPLETE)


def _code(folder: Path) -> list[Path]:
    # What loading a bundle needs, and no more: the specification and the bundle itself.
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / "features", folder / "features", ignore=unwanted)
    shutil.copytree(_ROOT / "training" / "bundle", folder / "training" / "bundle", ignore=unwanted)
    shutil.copy2(_ROOT / "training" / "__init__.py", folder / "training" / "__init__.py")
    return [folder / "features", folder / "training"]


def alias_version(store: Store, alias: str) -> str | None:
    """Version behind an alias, or None.

    Raises
    ------
    IncompleteVersion
        When the alias was set, by hand, on a version that does not count.
    """
    from mlflow.exceptions import MlflowException

    client = store.open()
    try:
        found = client.get_model_version_by_alias(MODEL, alias)
    except MlflowException:
        return None
    if not is_complete(found):
        raise IncompleteVersion(
            f"{alias} is version {found.version}, whose registration was never completed; "
            f"move the alias to a complete version or remove it in the MLflow page"
        )
    return str(found.version)


def registered_manifest(store: Store, version: str) -> Manifest:
    """Manifest of a registered version.

    Raises
    ------
    IncompleteVersion
        When its registration was cut short.
    """
    return Manifest.model_validate_json((bundle_folder(store, version) / "manifest.json").read_text("utf-8"))


def bundle_folder(store: Store, version: str) -> Path:
    """Local folder of a registered version's bundle.

    Raises
    ------
    IncompleteVersion
        When its registration was cut short.
    """
    if not is_complete(store.open().get_model_version(MODEL, version)):
        raise IncompleteVersion(f"the registration of version {version} was never completed; train it anew")
    return _stored(store, version)


def _stored(store: Store, version: str) -> Path:
    import mlflow

    store.open()
    local = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}")
    return Path(local) / "artifacts" / "bundle"


def export(store: Store, version_or_alias: str, out: Path) -> str:
    """Copy a registered bundle to a folder, stamped with its version.

    Returns
    -------
    str
        The version.

    Raises
    ------
    LookupError
        When there is no such version or alias.
    FileExistsError
        When `out` exists.
    """
    version = version_or_alias if version_or_alias.isdigit() else alias_version(store, version_or_alias)
    if version is None:
        raise LookupError(f"no version has the alias {version_or_alias}; `resecta train --no-data` makes {CHAMPION}")
    with tempfile.TemporaryDirectory(dir=out.resolve().parent) as scratch:
        rename_bundle(bundle_folder(store, version), Path(scratch) / "bundle", version)
        (Path(scratch) / "bundle").rename(out)
    return version
