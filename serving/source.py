"""Where the model comes from: a bundle folder, or a version in the registry."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from serving.registry import Registered, RegistryUnknown, look_up

#: Folder of the bundle inside a registered model.
BUNDLE = Path("artifacts") / "bundle"

#: MLflow's database inside the store.
DATABASE = "mlflow.db"

#: Stands for what only MLflow can tell.
UNREAD = Registered("", None, 0)

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")


class SourceRefused(Exception):
    """There is no model where the settings say.

    Attributes
    ----------
    reason
        What is missing and what to do. Readiness tells it to whoever asks, so it names no place of this machine;
        the text of the exception, for the log and the command line, does.
    code
        Machine-readable kind.
    version
        The version it is about, when the registry names one.
    """

    def __init__(self, reason: str, code: str, version: str | None = None, place: str | None = None) -> None:
        self.reason, self.code, self.version = reason, code, version
        super().__init__(reason if place is None else f"{reason} It is {place!r}.")


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
    named = _address(model)
    if named is None:
        folder = Path(model).absolute()
        if not folder.is_dir():
            raise SourceRefused("RESECTA_MODEL names a folder that does not exist.", "no_model", place=model)
        return Source(folder)
    database = store / DATABASE
    if not database.is_file():
        # MLflow would make an empty registry here, and so hide that the folder is the wrong one.
        raise SourceRefused(
            "RESECTA_STORE names a folder without a model registry (mlflow.db). "
            "`resecta train --no-data` makes one, with the published evidence as champion.",
            "no_registry",
            place=str(store),
        )
    found = _read(database, named)
    if found is None:
        raise _unregistered(model)
    if found is UNREAD or found.location is None:
        return _registered(model, named, store)
    return _with_bundle(found.location / BUNDLE, named["name"], found.version)


def fingerprint(model: str, store: Path) -> str:
    """Say in a few bytes what the settings name now, without loading it: another text means another model.

    The version and the names, sizes and times of the bundle's files are looked at, and the bundle's own list of
    checksums is read; that takes less than a millisecond and never raises. What a refused bundle lacks may be put
    right without its version changing, so its files count too.

    Parameters
    ----------
    model, store
        As for `find_bundle`.
    """
    try:
        named = _address(model)
        if named is None:
            return _listing(Path(model).absolute())
        found = _read(store / DATABASE, named)
        if found is None:
            return "nothing"
        if found is UNREAD:
            stat = (store / DATABASE).stat()
            return f"database {stat.st_mtime_ns} {stat.st_size}"
        files = "" if found.location is None else _listing(found.location / BUNDLE)
        return f"version {found.version} {found.created} {files}"
    except (SourceRefused, OSError) as error:
        return f"unreadable: {type(error).__name__}"


def _listing(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n".encode())
    return digest.hexdigest()


def _address(model: str) -> re.Match[str] | None:
    """Read the address of a registered model; None for a folder."""
    if not model.startswith("models:"):
        return None
    named = _REGISTERED.fullmatch(model)
    if named is None:
        raise SourceRefused(
            "RESECTA_MODEL is no address of a model; it takes models:/<name>@<alias>, models:/<name>/<version> or a "
            "folder.",
            "bad_model_address",
            place=model,
        )
    return named


def _read(database: Path, named: re.Match[str]) -> Registered | None:
    try:
        return look_up(database, named["name"], named["alias"], named["version"])
    except RegistryUnknown:
        return UNREAD
    except OSError:
        raise SourceRefused("The model registry (mlflow.db) cannot be read at the moment.", "no_registry") from None


def _unregistered(model: str) -> SourceRefused:
    return SourceRefused(
        f"The registry has no {model}. `resecta train --no-data` registers the published evidence as "
        "champion, `resecta promote` makes another version champion.",
        "no_model",
    )


def _with_bundle(folder: Path, name: str, version: str) -> Source:
    exact = f"models:/{name}/{version}"
    try:
        there = folder.is_dir()
        if not there and not folder.parent.is_dir():
            raise FileNotFoundError
    except OSError:
        raise SourceRefused(f"The files of {exact} cannot be read from the store.", "no_artifacts", version) from None
    if not there:
        raise SourceRefused(f"{exact} holds no bundle; it was not registered by `resecta train`.", "no_bundle", version)
    return Source(folder, version)


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

    address = f"sqlite:///{store / DATABASE}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    try:
        if named["alias"]:
            found = client.get_model_version_by_alias(named["name"], named["alias"])
        else:
            found = client.get_model_version(named["name"], named["version"])
    except MlflowException:
        raise _unregistered(model) from None
    version = str(found.version)
    try:
        # By the address of its files and not by `exact`, for which MLflow takes the registry from a setting of
        # the whole process and writes into the store. Files on this disk are read where they are.
        address = client.get_model_version_download_uri(named["name"], version)
        folder = Path(download_artifacts(artifact_uri=address)) / BUNDLE
    except (MlflowException, OSError):
        exact = f"models:/{named['name']}/{version}"
        raise SourceRefused(f"The files of {exact} cannot be read from the store.", "no_artifacts", version) from None
    return _with_bundle(folder, named["name"], version)
