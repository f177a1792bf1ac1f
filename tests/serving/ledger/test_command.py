"""The commands: what they print, write and exit with."""

import datetime as dt
import json
import sqlite3

import pytest
from rich.console import Console

from serving.ledger import Caller, LedgerError, LedgerUnavailable, open_ledger
from serving.ledger.command import run_cohort, run_export, run_retention, run_verify
from serving.ledger.entry import now

STARTED = {"index_date": dt.date.today().isoformat(), "planned_backbone": "folfox", "planned_biologic": "none"}


@pytest.fixture
def console():
    return Console(record=True, width=120, file=open("/dev/null", "w"))


@pytest.fixture
def store(tmp_path, predicted, spec):
    with open_ledger({}, tmp_path / "store", spec=spec) as ledger:
        one = predicted()
        ledger.append_sync([one, predicted()])
        ledger.record_outcome(one.id, STARTED)
    return tmp_path / "store"


def test_verify_says_whole_and_where_it_is_broken(store, console, file, tmp_path):
    assert run_verify({}, store, json_path=tmp_path / "verdict.json", console=console) == 0
    verdict = json.loads((tmp_path / "verdict.json").read_text("utf-8"))
    assert verdict["whole"] and verdict["entries"] == 4
    assert run_verify({}, store, noted=verdict["head"], console=console) == 0
    with sqlite3.connect(store / "ledger.db") as connection:
        connection.execute("drop trigger resecta_ledger_no_delete")
        connection.execute("delete from resecta_ledger where seq = 4")
    assert run_verify({}, store, console=console) == 0
    assert run_verify({}, store, noted=verdict["head"], console=console) == 1
    assert "Broken at entry 4: ends_early" in console.export_text()
    assert run_verify({}, store, noted="4", console=console) == 2


def test_where_there_is_no_ledger_none_is_made(tmp_path, console):
    assert run_verify({}, tmp_path, console=console) == 2
    assert run_export({}, tmp_path, tmp_path / "x.jsonl", console=console) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_only_reads_changes_nothing_of_what_it_reads(store, console, spec, tmp_path, predicted):
    def kept():
        # The file that readers share beside a database says who reads, and nothing that was written.
        files = {p.name: p.read_bytes() for p in store.iterdir() if not p.name.endswith("-shm")}
        return {name: content for name, content in files.items() if content}

    def read():
        assert run_verify({}, store, console=console) == 0
        assert run_export({}, store, tmp_path / "audit.jsonl", console=console) == 0
        assert run_cohort({}, store, spec, tmp_path / "registry.csv", site="north", console=console) == 0
        assert len((tmp_path / "audit.jsonl").read_text("utf-8").splitlines()) == entries

    entries, before = 4, kept()
    read()
    assert kept() == before
    with open_ledger({}, store, spec=spec) as ledger:
        ledger.append_sync([predicted()])
        # Of a service that runs, what stands in its log alone is read as well.
        entries, before = 5, kept()
        assert "ledger.db-wal" in before
        read()
        assert kept() == before


def test_what_only_reads_refuses_an_older_ledger_and_migrates_nothing(store, console, tmp_path):
    with sqlite3.connect(store / "ledger.db") as connection:
        connection.execute("update resecta_ledger_version set version_num = '0000'")
    assert run_verify({}, store, console=console) == 2
    assert run_export({}, store, tmp_path / "audit.jsonl", console=console) == 2
    text = console.export_text()
    assert "older revision 0000" in text and "resecta serve" in text
    with sqlite3.connect(store / "ledger.db") as connection:
        assert connection.execute("select version_num from resecta_ledger_version").fetchall() == [("0000",)]


def test_what_only_reads_makes_neither_a_file_nor_a_key(store, console, tmp_path):
    named = {"RESECTA_LEDGER": f"sqlite:///{tmp_path / 'typed' / 'wrong.db'}", "RESECTA_LEDGER_KEY": "k" * 40}
    assert run_verify(named, store, console=console) == 2
    (store / "ledger.key").unlink()
    assert run_verify({}, store, console=console) == 2
    text = console.export_text()
    assert "There is no ledger wrong.db" in text and "Put the key back" in text
    assert not (tmp_path / "typed").exists() and not (store / "ledger.key").exists()


def test_a_ledger_opened_for_reading_takes_nothing_on(store, predicted):
    with open_ledger({}, store, read_only=True) as ledger:
        with pytest.raises(LedgerError, match="reading alone"):
            ledger.append_sync([predicted()])
        with pytest.raises(LedgerUnavailable, match="SQLITE_READONLY"), ledger.database.writing() as connection:
            connection.exec_driver_sql("delete from resecta_ledger")


def test_cohort_writes_and_says_what_is_left_out(store, console, spec, tmp_path):
    assert run_cohort({}, store, spec, tmp_path / "registry.csv", console=console) == 1
    assert run_cohort({}, store, spec, tmp_path / "registry.csv", site="north", console=console) == 0
    text = console.export_text()
    assert "registry.csv" in text and "Left out: 1 predictions without an outcome." in text


def test_export_is_for_its_owner_alone(store, console, tmp_path):
    assert run_export({}, store, tmp_path / "audit.jsonl", console=console) == 0
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    assert len((tmp_path / "audit.jsonl").read_text("utf-8").splitlines()) == 4
    assert run_export({}, store, tmp_path / "nowhere" / "audit.jsonl", console=console) == 2


def exported(store, console, out, **asked):
    assert run_export({}, store, out, asked=asked, console=console) == 0
    return [json.loads(line)["seq"] for line in out.read_text("utf-8").splitlines()]


def test_an_export_takes_the_filters_of_an_audit(store, console, predicted, spec, tmp_path):
    with open_ledger({}, store, spec=spec) as ledger:
        one = predicted("2", caller=Caller("other"), patient=ledger.pseudonym("H-1"))
        ledger.append_sync([one])
        middle = now()
        ledger.record_outcome(one.id, STARTED)
    out = tmp_path / "audit.jsonl"
    for asked, seqs in (
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"kind": None, "after": "4"}, [5, 6]),
        ({"kind": "outcome"}, [4, 6]),
        ({"kind": "outcome", "since": middle.replace("+00:00", "Z")}, [6]),
        ({"kind": "prediction", "until": middle}, [2, 3, 5]),
        ({"model_version": "2"}, [5]),
        ({"caller": "other"}, [5]),
        ({"patient": one.patient}, [5]),
        ({"prediction_id": one.id}, [5, 6]),
    ):
        assert exported(store, console, out, **asked) == seqs, asked
    assert "the chain between them cannot" in console.export_text()


def test_an_export_asked_wrongly_names_every_option_and_no_value(store, console, tmp_path):
    asked = {"kind": "luck", "since": "yesterday", "patient": "H-4711", "model_version": None}
    assert run_export({}, store, tmp_path / "x.jsonl", asked=asked, console=console) == 2
    times = {"since": "2026-03-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert run_export({}, store, tmp_path / "x.jsonl", asked=times, console=console) == 2
    text = console.export_text()
    assert all(option in text for option in ("--kind takes one of", "--since takes", "--patient takes", "--until must"))
    assert "4711" not in text and not (tmp_path / "x.jsonl").exists()


def test_the_command_line_offers_every_filter_of_an_audit():
    from typer.testing import CliRunner

    import resecta
    from serving.audit import FILTERS

    told = CliRunner().invoke(resecta.app, ["ledger", "export", "--help"], env={"COLUMNS": "160"}).output
    assert [p.name for p in FILTERS if f"--{p.name.replace('_', '-')}" not in told] == []


def test_retention_asked_wrongly_exits_with_2(store, console):
    options = {"reason": "policy", "by": "auditor", "console": console}
    assert run_retention({}, store, before="yesterday", **options) == 2
    assert run_retention({}, store, before="2999-01-01", **options) == 2
    assert run_retention({}, store, before="2020-01-01", **options) == 0
    assert "Nothing is older" in console.export_text()


def test_an_address_with_a_password_never_shows_it(console):
    address = "postgresql://owner:s3cretpass@127.0.0.1:1/nowhere"
    environment = {"RESECTA_LEDGER": address, "RESECTA_LEDGER_KEY": "k" * 40}
    from pathlib import Path

    assert run_verify(environment, Path("/nonexistent"), console=console) == 2
    text = console.export_text()
    assert "cannot be used" in text and "s3cretpass" not in text
