"""The model registry as a file: what MLflow wrote is read without MLflow, whose import takes seconds and 100 MB.

Only two tables are read, and nothing is ever written or locked for longer than one look. Of a database whose tables
are not as they are known here, `RegistryUnknown` says so, and MLflow itself is asked instead.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Seconds to wait for whoever is writing.
PATIENCE = 5.0

_BY_ALIAS = """
    SELECT v.version, v.storage_location, v.creation_time, v.status
    FROM registered_model_aliases a JOIN model_versions v ON v.name = a.name AND v.version = a.version
    WHERE a.name = ? AND a.alias = ?
"""
_BY_VERSION = (
    "SELECT version, storage_location, creation_time, status FROM model_versions WHERE name = ? AND version = ?"
)


class RegistryUnknown(Exception):
    """The database cannot be read as MLflow's of the versions that are known here."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One version of a registered model.

    Attributes
    ----------
    location
        Folder of its files; None when they are not on this disk, or not where a file address says.
    created
        Milliseconds since 1970; tells a version from another that was later given the same number.
    """

    version: str
    location: Path | None
    created: int


def look_up(database: Path, name: str, alias: str | None = None, version: str | None = None) -> Registered | None:
    """Read which version a name with an alias, or with a number, stands for.

    Returns
    -------
    Registered or None
        None when there is no such model, alias or version.

    Raises
    ------
    RegistryUnknown
        When the tables are not those of a known MLflow, or several workspaces use the name.
    OSError
        When the database cannot be read now, as while it is replaced or locked.
    """
    query, key = (_BY_ALIAS, alias) if alias is not None else (_BY_VERSION, version)
    try:
        address = f"{database.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as connection:
            rows = connection.execute(query, (name, key)).fetchall()
    except sqlite3.DatabaseError as error:
        if "no such" in str(error) or "not a database" in str(error):
            raise RegistryUnknown(str(error)) from error
        raise OSError(f"the registry cannot be read: {error}") from error
    if len(rows) > 1:
        raise RegistryUnknown("several workspaces have a model of this name")
    if not rows:
        return None
    number, location, created, status = rows[0]
    if status not in (None, "READY"):
        return None
    return Registered(str(number), _folder(location), int(created or 0))


def _folder(location: str | None) -> Path | None:
    if not location:
        return None
    parts = urlsplit(location)
    if parts.scheme == "" and location.startswith("/"):
        return Path(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return None
