"""Retraining from PostgreSQL, with a server of Debian's packages that is started for this test."""

import pandas as pd
import pytest
import sqlalchemy

from tests.postgresql import PASSWORD, QUOTED, started
from training.registry import Database, RegistryUnreadable, read_registry
from training.retraining.command import run_retrain
from training.retraining.record import Code
from training.retraining.stages import Stage


@pytest.fixture(scope="module")
def server(small):
    with started() as made:
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
