"""Retraining from PostgreSQL, with a server of Debian's packages that is started for this test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy

from training.registry import Database, RegistryUnreadable, read_registry
from training.retraining.command import run_retrain
from training.retraining.record import Code
from training.retraining.stages import Stage
from training.store import Store

PASSWORD = "p@ss/w:rd%7"
QUOTED = "p%40ss%2Fw%3Ard%257"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A server with its data in a folder of its own; it refuses to run as root, so root runs it as nobody."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="resecta-pg-"))
        self.port = _free_port()
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres" if "postgres" in {u.pw_name for u in pwd.getpwall()} else "nobody"
            shutil.chown(self.folder, self.user)

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            user=self.user,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=120,
        )

    def start(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD, "utf-8")
        if self.user is not None:
            shutil.chown(secret, self.user)
        data = str(self.folder / "data")
        self.run(
            "initdb", "-D", data, "-U", "owner", "--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8", "-N"
        )
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        try:
            self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, user: str = "owner", password: str = QUOTED) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server(small):
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("no PostgreSQL server: Debian's package postgresql is not installed (/usr/lib/postgresql/*/bin)")
    made = Server(programs[-1].parent)
    try:
        made.start()
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(made.folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL is installed but does not start here: {error}")
    try:
        address = made.address().replace("postgresql:", "postgresql+psycopg:")
        engine = sqlalchemy.create_engine(address)
        with engine.begin() as connection:
            pd.read_csv(small, parse_dates=["index_date"]).to_sql("registry", connection, index=False)
            connection.execute(sqlalchemy.text("create schema trials"))
            connection.execute(
                sqlalchemy.text("create view trials.adults as select * from registry where age_years > 17")
            )
            connection.execute(sqlalchemy.text(f"create role reader login password '{PASSWORD}'"))
            connection.execute(sqlalchemy.text("grant select on registry to reader"))
        engine.dispose()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("postgresql") / "store")


def test_retraining_reads_validates_and_decides_from_a_table(server, store, capsys, caplog):
    reached: list[Stage] = []
    address = f"{server.address('reader')}?table=registry"
    code = run_retrain(address, store, update="intercept", promote=False, announce=reached.append)
    assert code == Code.FINISHED
    assert reached[:6] == [Stage.LOCK, Stage.SWEEP, Stage.READ, Stage.VALIDATE, Stage.COHORT, Stage.DECIDE]
    assert reached[-1] is Stage.SUMMARY
    (summary,) = (store.folder / "retraining").glob("*.md")
    text = summary.read_text("utf-8")
    assert f"postgresql 127.0.0.1:{server.port}/postgres, table registry (250 rows" in text
    assert "closed patients with a recorded outcome" in text
    # The password is in nothing that is shown, logged or stored.
    shown = capsys.readouterr()
    kept = [p.read_bytes().decode("utf-8", "replace") for p in store.folder.rglob("*") if p.is_file()]
    for place in (text, shown.out, shown.err, caplog.text, *kept):
        assert PASSWORD not in place and QUOTED not in place


def test_a_table_in_postgresql_gives_the_patients_of_the_file(server, small, spec):
    from_file = read_registry(small, spec)
    from_table = read_registry(f"{server.address()}?table=registry", spec)
    assert from_table.simulated
    assert set(from_table.columns) == set(from_file.columns)
    ours = from_table.frame.sort_values("record_id", ignore_index=True)
    theirs = from_file.frame.sort_values("record_id", ignore_index=True)
    pd.testing.assert_frame_equal(ours[theirs.columns.tolist()], theirs, check_dtype=False)


def test_a_view_in_a_schema_and_a_query_are_read_and_nothing_is_written(server, spec):
    view = read_registry(f"{server.address()}?table=trials.adults", spec)
    query = "select * from registry where sex like '%' and age_years > 17 -- a comment: 100% of them"
    asked = read_registry(Database(server.address(), query=query), spec)
    assert view.digest == asked.digest
    with pytest.raises(RegistryUnreadable, match="ReadOnlySqlTransaction"):
        sneaky = "with gone as (delete from registry returning *) select * from gone"
        read_registry(Database(server.address(), query=sneaky), spec)


@pytest.mark.parametrize(
    ("user", "password", "table", "words"),
    [
        ("reader", "wrong", "registry", "password authentication failed"),
        ("reader", QUOTED, "registri", "no such table or view"),
        ("reader", QUOTED, "trials.adults", "table trials.adults"),
    ],
)
def test_what_cannot_be_read_is_named_and_has_its_own_exit_code(server, store, capsys, user, password, table, words):
    code = run_retrain(f"{server.address(user, password)}?table={table}", store)
    assert code == Code.UNREADABLE
    said = capsys.readouterr().err
    assert words in said
    assert PASSWORD not in said
