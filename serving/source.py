"""Where the model comes from: a bundle folder, or a version in the registry."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

#: Folder of the bundle inside a registered model.
BUNDLE = Path("artifacts") / "bundle"

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


class SourceRefused(Exception):
    """There is no model where the settings say.

    Attributes
    ----------
    reason
        What is missing and what to do.
    code
        Machine-readable kind.
    """

    def __init__(self, reason: str, code: str) -> None:
        self.reason, self.code = reason, code
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Source:
    """A bundle folder, and the version that the registry gives it: None for a folder named directly."""

    folder: Path
    version: str | None = None


def find_bundle(model: str, store: Path) -> Source:
    """Find the folder of the bundle that the settings name.

    Parameters
    ----------
    model
        ``models:/<name>@<alias>``, ``models:/<name>/<version>``, or a folder.
    store
        Folder of the registry's ``mlflow.db``.

    Raises
    ------
    SourceRefused
        When there is no such folder, registry, model, alias or version.
    """
    if not model.startswith("models:"):
        folder = Path(model).absolute()
        if not folder.is_dir():
            raise SourceRefused(f"RESECTA_MODEL names the folder {model!r}, which does not exist.", "no_model")
        return Source(folder)
    named = _REGISTERED.fullmatch(model)
    if named is None:
        raise SourceRefused(
            f"RESECTA_MODEL is {model!r}; it takes models:/<name>@<alias>, models:/<name>/<version> or a folder.",
            "bad_model_address",
        )
    if not (store / "mlflow.db").is_file():
        # MLflow would make an empty registry here, and so hide that the folder is the wrong one.
        raise SourceRefused(
            "RESECTA_STORE names a folder without a model registry (mlflow.db). "
            "`resecta train --no-data` makes one, with the published evidence as champion.",
            "no_registry",
        )
    return _registered(model, named, store)


def _registered(model: str, named: re.Match[str], store: Path) -> Source:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        # Slow to import, and not installed where only a bundle folder is served.
        from mlflow import MlflowClient
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise SourceRefused(
            "MLflow is not installed here, so there is no registry. `resecta export` writes a bundle folder "
            "where it is; name that folder in RESECTA_MODEL.",
            "no_registry",
        ) from None

    address = f"sqlite:///{store / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    try:
        if named["alias"]:
            found = client.get_model_version_by_alias(named["name"], named["alias"])
        else:
            found = client.get_model_version(named["name"], named["version"])
    except MlflowException:
        raise SourceRefused(
            f"The registry has no {model}. `resecta train --no-data` registers the published evidence as "
            "champion, `resecta promote` makes another version champion.",
            "no_model",
        ) from None
    exact = f"models:/{named['name']}/{found.version}"
    try:
        # By the address of its files and not by `exact`, for which MLflow takes the registry from a setting of
        # the whole process and writes into the store. Files on this disk are read where they are.
        address = client.get_model_version_download_uri(named["name"], str(found.version))
        folder = Path(download_artifacts(artifact_uri=address)) / BUNDLE
    except (MlflowException, OSError):
        raise SourceRefused(f"The files of {exact} cannot be read from the store.", "no_artifacts") from None
    if not folder.is_dir():
        raise SourceRefused(f"{exact} holds no bundle; it was not registered by `resecta train`.", "no_bundle")
    return Source(folder, str(found.version))
