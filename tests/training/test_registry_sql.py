"""Registries read from a database; sqlite here, PostgreSQL in tests/training/retraining."""

import datetime as dt
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from features import load_specification
from training.registry import AddressRefused, Database, RegistryUnreadable, build_cohort, read_registry
from training.registry.sql import with_query
from training.simulator import simulate, write_registry


@pytest.fixture(scope="module")
def spec():
    return load_specification()


@pytest.fixture(scope="module")
def csv(spec, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "registry.csv"
    frame, _ = simulate(spec, patients=120, seed=5, sites=3)
    write_registry(frame, path)
    return path


@pytest.fixture(scope="module")
def file(csv) -> Path:
    path = csv.with_name("hospital ward.db")
    with sqlite3.connect(path) as connection:
        pd.read_csv(csv).to_sql("registry", connection, index=False)
    return path


def test_a_table_gives_the_same_cohort_as_the_file_that_it_was_loaded_from(csv, file, spec):
    from_file = build_cohort(read_registry(csv, spec).frame, spec)
    read = read_registry(f"sqlite:///{file}?table=registry", spec)
    from_table = build_cohort(read.frame, spec)
    assert read.simulated
    order = {record: i for i, record in enumerate(from_table.record)}
    same = from_table.take(pd.Series([order[r] for r in from_file.record]).to_numpy())
    for name, column in from_file.outcomes.items():
        pd.testing.assert_series_equal(pd.Series(column), pd.Series(same.outcomes[name]))
    assert list(from_file.regimens) == list(same.regimens)


def test_the_digest_is_of_the_patients_whatever_order_the_database_returns_them_in(file, spec):
    forwards = read_registry(Database(f"sqlite:///{file}", query="select * from registry order by rowid"), spec)
    backwards = read_registry(Database(f"sqlite:///{file}", query="select * from registry order by rowid desc"), spec)
    fewer = read_registry(Database(f"sqlite:///{file}", query="select * from registry where rowid > 1"), spec)
    assert forwards.digest == backwards.digest != fewer.digest
    pd.testing.assert_frame_equal(forwards.frame, backwards.frame)


def test_a_query_may_hold_percent_signs_and_colons(file, spec):
    query = "select *, strftime('%Y', '2020-01-02') as a_year, ':x' as colon from registry"
    read = read_registry(Database(f"sqlite:///{file}", query=query), spec)
    assert {"a_year", "colon"} <= set(read.unmapped)


def test_numbers_dates_and_nulls_come_as_the_database_holds_them(tmp_path, spec):
    with sqlite3.connect(tmp_path / "few.db") as connection:
        connection.execute("create table t (age_years integer, index_date date, extra_column real)")
        connection.executemany("insert into t values (?, ?, ?)", [(61, "2023-04-01", 7.5), (None, None, None)])
    frame = read_registry(f"sqlite:///{tmp_path / 'few.db'}?table=t", spec).frame
    rows = frame[["age_years", "index_date"]].to_numpy().tolist()
    assert sorted(rows, key=str) == sorted([[61, dt.date(2023, 4, 1)], [None, None]], key=str)


def test_the_database_is_never_written_to(file, spec):
    with pytest.raises(AddressRefused, match="SELECT"):
        read_registry(Database(f"sqlite:///{file}", query="delete from registry"), spec)
    with pytest.raises(RegistryUnreadable, match="not readable"):
        read_registry(Database(f"sqlite:///{file}", query="with x as (select 1) delete from registry"), spec)
    with sqlite3.connect(file) as connection:
        assert connection.execute("select count(*) from registry").fetchone() == (120,)


def test_a_mistyped_file_is_an_error_and_makes_no_empty_database(tmp_path, spec):
    with pytest.raises(RegistryUnreadable, match=r"sqlite nowhere\.db: no such file"):
        read_registry(f"sqlite:///{tmp_path / 'nowhere.db'}?table=registry", spec)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [("registri", "no such table or view"), ("empty", "has no rows")],
)
def test_a_table_that_is_missing_or_empty_is_named(file, spec, table, words):
    with sqlite3.connect(file) as connection:
        connection.execute("create table if not exists empty (age_years integer)")
    with pytest.raises(RegistryUnreadable, match=words) as refused:
        read_registry(f"sqlite:///{file}?table={table}", spec)
    assert f"table {table}" in str(refused.value)


@pytest.mark.parametrize(
    ("database", "words"),
    [
        (Database("sqlite:///file.db"), "--query FILE.sql"),
        (Database("sqlite:///file.db", table="a", query="select 1"), "not both"),
        (Database("sqlite:///file.db?table=a&table=b"), "more than one table"),
        (Database("postgresql://me:secret@host:port/x?table=a"), "postgresql://user@host:5432"),
        (Database("nosuchkind://host/x?table=a"), "sqlite and postgresql are"),
    ],
)
def test_an_address_that_cannot_be_used_says_how_to_write_one(database, words, spec):
    with pytest.raises(AddressRefused) as refused:
        read_registry(database, spec)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_the_password(spec):
    database = Database("postgresql://reader:s3cr3t%2Fword@127.0.0.1:9/ward?table=registry&connect_timeout=2")
    with pytest.raises(RegistryUnreadable) as refused:
        read_registry(database, spec)
    assert "postgresql 127.0.0.1:9/ward, table registry: cannot connect" in str(refused.value)
    assert "refused" in str(refused.value)
    for text in (str(refused.value), repr(refused.value), repr(database), database.text):
        assert "s3cr3t" not in text
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_an_error_in_a_query_quotes_no_cell(file, spec):
    with pytest.raises(RegistryUnreadable) as refused:
        read_registry(
            Database(f"sqlite:///{file}", query="select json_extract(record_id, 'bad path') from registry"), spec
        )
    assert "OperationalError" in str(refused.value)
    assert "bad path" not in str(refused.value)


def test_a_query_comes_from_a_file(file, tmp_path, spec):
    (tmp_path / "cohort.sql").write_text("-- adults only\nselect * from registry where age_years >= 18;\n", "utf-8")
    read = read_registry(with_query(Database(f"sqlite:///{file}"), tmp_path / "cohort.sql"), spec)
    assert read.description.startswith("sqlite hospital ward.db, query (")
    with pytest.raises(AddressRefused, match=r"--query none\.sql: cannot be read"):
        with_query(Database(f"sqlite:///{file}"), tmp_path / "none.sql")
