"""The same ledger in PostgreSQL."""

import asyncio
import datetime as dt
import json

import pytest
import sqlalchemy as sa

import serving.ledger.job as job
from features import InvalidValues
from serving.ledger import Ledger, LedgerError, LedgerUnavailable, Removed
from serving.ledger.page import Page, Wanted, find, read
from serving.ledger.retention import retention
from serving.ledger.verify import Break, verify
from tests.postgresql import started

RECENT = dt.date.today() - dt.timedelta(days=40)
STARTED = {
    "index_date": RECENT.isoformat(),
    "planned_backbone": "folfox",
    "planned_biologic": "none",
    "site_id": "A",
}
TABLE = "resecta_ledger"


@pytest.fixture(scope="module")
def server():
    with started() as made:
        yield made


@pytest.fixture
def address(server):
    """A database of its own in the server."""
    owner = sa.create_engine(server.address().replace("postgresql:", "postgresql+psycopg:"))
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("drop database if exists ledger with (force)"))
        connection.execute(sa.text("create database ledger"))
    owner.dispose()
    return server.address().rpartition("/")[0] + "/ledger"


@pytest.fixture
def ledger(address, key, spec):
    with Ledger(address, key, spec=spec) as opened:
        yield opened


def test_answers_outcomes_and_the_chain_are_kept_as_in_a_file(ledger, predicted):
    many = [predicted() for _ in range(30)]

    async def all_of_them():
        await asyncio.gather(*(ledger.append([one]) for one in many))

    asyncio.run(all_of_them())
    assert all(ledger.get(one.id) == one.sent for one in many)
    first = ledger.record_outcome(many[0].id, STARTED)
    assert ledger.record_outcome(many[0].id, STARTED).hash == first.hash
    assert ledger.record_outcome(many[0].id, {**STARTED, "local_treatment": "none"}).revision == 2
    with pytest.raises(LedgerError, match="stands already"):
        ledger.append_sync([many[0]])
    verdict = verify(ledger.database, ledger.key)
    assert (verdict.broken, verdict.entries) == (None, 33)


def test_comparisons_and_explanations_are_kept_as_in_a_file(ledger, looked):
    drafts = looked()
    ledger.append_sync(drafts)
    assert [ledger.get(one.id) for one in drafts] == [one.sent for one in drafts]
    with pytest.raises(InvalidValues, match="comparison or an explanation"):
        ledger.record_outcome(drafts[0].id, STARTED)
    assert verify(ledger.database, ledger.key).kinds == {"checkpoint": 1, "comparison": 1, "explanation": 1}


def test_an_auditor_reads_and_verifies_it_piece_by_piece(ledger, predicted):
    many = [predicted(patient=ledger.pseudonym(f"patient {i % 2}")) for i in range(6)]
    ledger.append_sync(many)
    whole = verify(ledger.database, ledger.key)
    page = find(ledger.database, Wanted(patient=many[0].patient, after=2), 2)
    assert page == Page((4, 6), 6)
    assert [json.loads(line)["id"] for line in read(ledger.database, page.seqs).splitlines()] == [
        many[2].id,
        many[4].id,
    ]
    now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    assert find(ledger.database, Wanted(until=now), 100) == Page((1, 2, 3, 4, 5, 6, 7), None)
    assert find(ledger.database, Wanted(since=now), 100) == Page((), None)
    half = verify(ledger.database, ledger.key, seconds=-1)
    assert (half.complete, half.entries) == (False, 1)
    assert verify(ledger.database, ledger.key, after=half.head).head == whole.head


def test_two_that_write_at_once_share_one_chain(ledger, address, key, predicted):
    with Ledger(address, key) as other:

        async def both():
            jobs = [to.append([predicted()]) for _ in range(40) for to in (ledger, other)]
            return await asyncio.gather(*jobs)

        receipts = asyncio.run(both())
    assert sorted(r.seq for (r,) in receipts) == list(range(2, 82))
    assert verify(ledger.database, ledger.key).broken is None


def test_the_table_refuses_changes_and_a_change_without_the_triggers_shows(ledger, predicted):
    ledger.append_sync([predicted() for _ in range(3)])
    for statement in (f"delete from {TABLE}", f"truncate {TABLE}", f"update {TABLE} set payload = null where seq = 2"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), ledger.database.engine.begin() as connection:
            connection.execute(sa.text(statement))
    with ledger.database.engine.begin() as connection:
        connection.execute(sa.text(f"alter table {TABLE} disable trigger user"))
        connection.execute(sa.text(f"delete from {TABLE} where seq = 3"))
    assert verify(ledger.database, ledger.key).broken == Break(3, "entry_missing")


def test_retention_removes_and_the_chain_holds(ledger, predicted, monkeypatch):
    old, young = predicted(), predicted()
    with monkeypatch.context() as then:
        then.setattr(job, "now", lambda: "2020-01-15T10:00:00.000000+00:00")
        ledger.append_sync([old])
    ledger.append_sync([young])
    assert retention(ledger.database, ledger.key, dt.date(2021, 1, 1), "policy", "auditor").count == 1
    with pytest.raises(Removed):
        ledger.get(old.id)
    assert ledger.get(young.id) == young.sent
    assert verify(ledger.database, ledger.key).broken is None


def test_one_opened_for_reading_changes_nothing(ledger, address, key, predicted):
    ledger.append_sync([predicted()])
    with Ledger(address, key, read_only=True) as reading:
        assert verify(reading.database, reading.key).entries == 2
        with pytest.raises(LedgerUnavailable, match="25006"), reading.database.writing() as connection:
            connection.execute(sa.text(f"delete from {TABLE}"))


def test_connections_that_the_server_cut_are_made_anew(ledger, predicted):
    ledger.append_sync([predicted()])
    with ledger.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        others = "pid <> pg_backend_pid() and datname = 'ledger'"
        connection.execute(sa.text(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}"))
    ledger.append_sync([predicted()])
    assert verify(ledger.database, ledger.key).broken is None
