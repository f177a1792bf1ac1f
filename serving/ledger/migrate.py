"""Bring a ledger's table up to date; two processes that open it at once take turns."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from serving.ledger.database import Database
from serving.ledger.errors import LedgerError
from serving.ledger.table import HEAD, VERSION_TABLE

FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Migrate to the newest revision.

    Raises
    ------
    LedgerError
        When the ledger was written by a newer release.
    """
    with database.reading() as connection:
        if _revision(connection) == HEAD:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    with database.writing() as connection:
        if _revision(connection) == HEAD:
            return
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LedgerError(
                f"The ledger was written by a newer release; this one knows revision {HEAD}. "
                "Start that release, or name another ledger."
            ) from error


def check(database: Database) -> None:
    """Check that a ledger can be read as it is, and change nothing.

    Raises
    ------
    LedgerError
        When there is no ledger in the database, or it is of another revision.
    """
    with database.reading() as connection:
        revision = _revision(connection)
    if revision == HEAD:
        return
    if revision is None:
        raise LedgerError("There is no ledger in this database.")
    # Revisions are numbers of one length, so that texts sort as they do.
    if revision < HEAD:
        raise LedgerError(
            f"The ledger is of the older revision {revision}, and what only reads does not change it. Read it with the "
            f"release that wrote it, or start `resecta serve` of this one, which brings it to revision {HEAD}."
        )
    raise LedgerError(f"The ledger was written by a newer release; this one reads revision {HEAD}. Use that release.")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
