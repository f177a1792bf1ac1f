"""A ledger is brought up to date when it is opened, by whichever process comes first."""

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from serving.ledger import Ledger, LedgerError
from serving.ledger.migrate import FOLDER
from serving.ledger.table import HEAD, VERSION_TABLE, entries


def test_the_newest_revision_is_the_one_that_is_named():
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_migrations_make_the_table_that_is_declared(ledger):
    with ledger.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, entries.metadata)
    # Indexes are for searching; what must agree is the table.
    assert [d for d in differences if "index" not in str(d[0]) and "constraint" not in str(d[0])] == []


def test_a_ledger_of_a_newer_release_is_refused(file, key):
    Ledger(f"sqlite:///{file}", key).close()
    with sqlite3.connect(file) as connection:
        connection.execute(f"update {VERSION_TABLE} set version_num = '9999'")
    with pytest.raises(LedgerError, match="newer release"):
        Ledger(f"sqlite:///{file}", key)


def test_opening_one_that_is_up_to_date_loads_no_alembic(file, key):
    import subprocess
    import sys
    from pathlib import Path

    Ledger(f"sqlite:///{file}", key).close()
    code = (
        "import sys; from serving.ledger import Ledger; Ledger(sys.argv[1], sys.argv[2]).close(); "
        "sys.exit('alembic' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code, f"sqlite:///{file}", key], cwd=root).returncode == 0
