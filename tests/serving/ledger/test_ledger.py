"""What is appended is there, once, as it was sent; what cannot be written is never acknowledged."""

import asyncio
import datetime as dt
import json
import os
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

import serving.ledger.job as job
from features import InvalidValues
from serving.ledger import (
    Caller,
    Conflict,
    Estimate,
    Kind,
    Ledger,
    LedgerBusy,
    LedgerError,
    LedgerUnavailable,
    Limits,
    database,
    estimate_problems,
    open_ledger,
    writer,
)
from serving.ledger.verify import verify

RECENT = dt.date.today() - dt.timedelta(days=40)
STARTED = {
    "index_date": RECENT.isoformat(),
    "planned_backbone": "folfox",
    "planned_biologic": "none",
    "site_id": "A",
}


def whole(ledger):
    return verify(ledger.database, ledger.key).broken is None


def test_an_answer_comes_back_bit_for_bit(ledger, predicted):
    one = predicted()
    asyncio.run(ledger.append([one]))
    assert ledger.get(one.id) == one.sent
    assert ledger.get("none such") is None


def test_the_record_says_what_was_asked_by_whom_and_which_model_answered(ledger, predicted, spec):
    one = predicted(patient=ledger.pseudonym("MRN 4711"), digests={"bundle": "ab" * 32})
    ledger.append_sync([one])
    record = ledger.prediction(one.id).record
    assert record["inputs"] == {
        "entered": {"age_years": 61, "n_liver_metastases": 8, "ras_status": "wt"},
        "assumed": ["sex"],
    }
    assert record["model"] == {"name": "resecta", "version": "1", "spec_digest": spec.digest}
    assert record["digests"] == {"bundle": "ab" * 32}
    assert record["caller"] == {"name": "board", "role": "predict"}
    assert record["flags"] == [["RAS_UNKNOWN", "unknown"]]
    assert record["latency_ms"] == 4.2


def test_a_patient_reference_is_kept_only_as_a_keyed_hash(ledger, predicted, file):
    one = predicted(patient=ledger.pseudonym("MRN 4711"))
    ledger.append_sync([one])
    with Ledger(f"sqlite:///{file.with_name('other.db')}", "another key, of forty characters or more") as other:
        assert other.pseudonym("MRN 4711") != ledger.pseudonym("MRN 4711") == one.patient
    ledger.close()
    assert b"4711" not in file.read_bytes()


def test_many_at_once_are_each_written_once_and_in_one_chain(ledger, predicted):
    many = [predicted() for _ in range(120)]

    async def all_of_them():
        return await asyncio.gather(*(ledger.append([one]) for one in many))

    receipts = [receipt for (receipt,) in asyncio.run(all_of_them())]
    assert sorted(r.seq for r in receipts) == list(range(2, 122))
    assert all(ledger.get(one.id) == one.sent for one in many)
    assert whole(ledger)


def test_a_batch_is_written_together_or_not_at_all(ledger, predicted):
    first, second = predicted(), predicted()
    ledger.append_sync([first])
    with pytest.raises(LedgerError, match="stands already"):
        ledger.append_sync([second, first])
    assert ledger.get(second.id) is None
    ledger.append_sync([second])
    assert whole(ledger)


def test_one_repeated_id_does_not_spoil_what_is_written_with_it(ledger, predicted):
    first, others = predicted(), [predicted() for _ in range(5)]
    ledger.append_sync([first])

    async def together():
        jobs = [ledger.append([one]) for one in (*others, first)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    *written, refused = asyncio.run(together())
    assert isinstance(refused, LedgerError)
    assert len(written) == 5
    assert all(ledger.get(one.id) == one.sent for one in others)


@contextmanager
def held(file):
    """Hold the right to write, as a process that hangs would."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("begin immediate")
    try:
        yield
    finally:
        connection.close()


def test_too_many_waiting_are_refused_and_not_kept(file, predicted, key):
    with Ledger(f"sqlite:///{file}", key, limits=Limits(entries=3)) as ledger:
        with held(file):
            waiting = [ledger._writer.submit([predicted()]) for _ in range(3)]
            late = predicted()
            with pytest.raises(LedgerBusy, match="Send this again"):
                ledger.append_sync([late])
        assert all(done.result(10) for done in waiting)
        assert ledger.get(late.id) is None
        ledger.append_sync([late])


def test_what_is_not_written_in_time_is_unavailable_and_never_acknowledged(file, predicted, key):
    with Ledger(f"sqlite:///{file}", key, limits=Limits(seconds=0.3)) as ledger:
        with held(file):
            with pytest.raises(LedgerUnavailable, match="did not write within"):
                asyncio.run(ledger.append([predicted()]))
            assert ledger.problem is not None
        one = predicted()
        for _ in range(20):
            try:
                ledger.append_sync([one])
                break
            except LedgerUnavailable:
                continue
        assert ledger.problem is None
        assert ledger.get(one.id) == one.sent


def test_a_ledger_that_went_away_is_unavailable_and_names_no_value(file, predicted, key, forced, caplog):
    with Ledger(f"sqlite:///{file}", key) as ledger:
        forced("alter table resecta_ledger rename to gone")
        with pytest.raises(LedgerUnavailable) as refusal:
            ledger.append_sync([predicted()])
        forced("alter table gone rename to resecta_ledger")
        assert "ledger.db" not in str(refusal.value)
        told = (str(refusal.value) + caplog.text).replace(str(file), "")
        assert "61" not in told
        ledger.append_sync([predicted()])
        assert whole(ledger)


def test_an_entry_that_cannot_be_made_fails_alone(ledger, predicted):
    bad = predicted()
    bad.request["patient"]["age_years"] = float("nan")
    with pytest.raises(LedgerError, match="could not be made"):
        ledger.append_sync([bad])
    ledger.append_sync([predicted()])
    assert whole(ledger)


def test_after_closing_nothing_is_taken_on(file, predicted, key):
    ledger = Ledger(f"sqlite:///{file}", key)
    done = ledger._writer.submit([predicted()])
    ledger.close()
    assert done.result(0)
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.append_sync([predicted()])


def test_the_table_refuses_changes_and_deletions(ledger, predicted, file):
    ledger.append_sync([predicted()])
    with sqlite3.connect(file) as connection:
        for statement in (
            "delete from resecta_ledger",
            "update resecta_ledger set at = '2020'",
            "update resecta_ledger set payload = null where seq = 2",
            "update resecta_ledger set caller = 'somebody'",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_an_outcome_sent_twice_is_one_entry_with_one_receipt(ledger, predicted):
    one = predicted()
    ledger.append_sync([one])
    first = ledger.record_outcome(one.id, STARTED, idempotency_key="x")
    again = ledger.record_outcome(one.id, {**STARTED, "sex": None}, idempotency_key="x", caller=Caller("other"))
    unkeyed = ledger.record_outcome(one.id, STARTED)
    assert (first.existing, again.existing, unkeyed.existing) == (False, True, True)
    assert first.outcome_id == again.outcome_id == unkeyed.outcome_id
    assert {first.hash, again.hash, unkeyed.hash} == {first.hash}
    assert len(ledger.outcomes(one.id)) == 1


def test_a_key_used_for_other_values_is_a_conflict(ledger, predicted):
    one = predicted()
    ledger.append_sync([one])
    ledger.record_outcome(one.id, STARTED, idempotency_key="x")
    with pytest.raises(Conflict):
        ledger.record_outcome(one.id, {**STARTED, "index_date": dt.date.today().isoformat()}, idempotency_key="x")


def test_a_correction_is_a_new_revision_and_loses_none_before_it(ledger, predicted):
    one = predicted()
    ledger.append_sync([one])
    stages = [STARTED, {**STARTED, "local_treatment": "none"}, STARTED]
    reports = [ledger.record_outcome(one.id, values) for values in stages]
    assert [r.revision for r in reports] == [1, 2, 3]
    assert [stored.record["values"] for stored in ledger.outcomes(one.id)] == stages


def test_one_report_from_many_threads_is_one_entry(ledger, predicted):
    one = predicted()
    ledger.append_sync([one])
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(ledger.record_outcome(one.id, STARTED))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({report.outcome_id for report in seen}) == len(ledger.outcomes(one.id)) == 1


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({}, {("index_date", "missing_required"), ("planned_backbone", "missing_required")}),
        ({**STARTED, "clavien_dindo_max": "vi"}, {("clavien_dindo_max", "unknown_code")}),
        ({**STARTED, "age_years": 60}, {("age_years", "not_an_outcome")}),
        ({**STARTED, "patient_name": "x"}, {("patient_name", "unknown_field")}),
        ({**STARTED, "site_id": "the patient said so"}, {("site_id", "malformed")}),
        ({**STARTED, "conversion_12m": 1}, {("conversion_12m", "wrong_type")}),
        ({**STARTED, "index_date": "2999-01-01"}, {("index_date", "in_the_future")}),
        ({**STARTED, "index_date": "1990-03-01"}, {("index_date", "far_from_prediction")}),
        (
            {**STARTED, "index_date": (dt.date.today() - dt.timedelta(days=368)).isoformat(), "conversion_12m": 3},
            {("index_date", "far_from_prediction"), ("conversion_12m", "wrong_type")},
        ),
        ({**STARTED, "planned_cycles": 40}, {("planned_cycles", "above_hard_limit")}),
        ({**STARTED, "resection_12m": False, "conversion_12m": True}, {("conversion_12m", "outcome_without_parent")}),
        (
            {**STARTED, "local_treatment": "none", "conversion_12m": True},
            {("conversion_12m", "outcome_without_parent")},
        ),
        (
            {**STARTED, "resection_date": "2022-12-01", "local_treatment": "resection"},
            {("index_date, resection_date", "surgery_before_cycle_1")},
        ),
    ],
)
def test_an_outcome_that_the_specification_refuses_is_not_kept(ledger, predicted, values, wrong):
    one = predicted()
    ledger.append_sync([one])
    with pytest.raises(InvalidValues) as refusal:
        ledger.record_outcome(one.id, values)
    assert wrong <= {(p.field, p.code) for p in refusal.value.problems}
    assert not any(
        str(v) in p.message for p in refusal.value.problems for v in values.values() if str(v) == "2999-01-01"
    )
    assert ledger.outcomes(one.id) == ()


def test_a_start_within_a_year_of_the_prediction_is_kept_and_one_long_after_it_is_not(ledger, predicted, monkeypatch):
    old, recent = predicted(), predicted()
    with monkeypatch.context() as then:
        then.setattr(job, "now", lambda: "2020-01-15T10:00:00.000000+00:00")
        ledger.append_sync([old])
    ledger.append_sync([recent])
    for day in ("2019-01-15", "2020-02-01", "2021-01-15"):
        assert ledger.record_outcome(old.id, {**STARTED, "index_date": day}).revision
    for one, day in ((old, "2021-01-16"), (old, "2019-01-13"), (recent, "2020-02-01")):
        with pytest.raises(InvalidValues, match="more than 366 days from the prediction") as refusal:
            ledger.record_outcome(one.id, {**STARTED, "index_date": day})
        assert [p.field for p in refusal.value.problems] == ["index_date"]
        assert day not in str(refusal.value)


def test_an_outcome_of_no_prediction_is_a_key_error(ledger):
    with pytest.raises(KeyError):
        ledger.record_outcome("3f0d5a4e-0000-0000-0000-000000000000", STARTED)


def test_the_boards_estimate_stands_before_the_prediction_it_was_made_for(ledger, predicted, spec):
    one = predicted()
    regimens = [{"backbone": "folfox", "biologic": "none", "outcomes": {"conversion_12m": 0.3}}]
    assert estimate_problems(regimens, spec) == []
    first, second = ledger.append_sync([Estimate(one.id, regimens), one])
    assert first.seq < second.seq
    (stored,) = ledger.stored(Kind.ESTIMATE)
    assert stored.record["regimens"] == regimens


def test_an_estimate_that_is_none_is_told_in_full(spec):
    bad = [{"backbone": "water", "biologic": "none", "outcomes": {"conversion_12m": 1.2, "luck": 0.1}, "note": "x"}]
    codes = {(p.field, p.code) for p in estimate_problems(bad, spec)}
    assert codes == {
        ("0", "unknown_regimen"),
        ("0.note", "unknown_field"),
        ("0.outcomes.conversion_12m", "wrong_type"),
        ("0.outcomes.luck", "unknown_field"),
    }


def test_every_thousandth_entry_is_a_signed_checkpoint(ledger, predicted):
    ledger.append_sync([predicted() for _ in range(1005)])
    assert [stored.seq for stored in ledger.stored(Kind.CHECKPOINT)] == [1, 1000]
    assert whole(ledger)


def test_a_ledger_opened_with_another_key_is_refused(file, key):
    Ledger(f"sqlite:///{file}", key).close()
    with pytest.raises(LedgerError, match="another key"):
        Ledger(f"sqlite:///{file}", key[::-1])


def test_a_file_that_is_no_database_is_unavailable_in_words_and_left_as_it_is(file, key):
    file.write_bytes(b"a report\n" * 2000)
    with pytest.raises(LedgerUnavailable, match="cannot be used"):
        Ledger(f"sqlite:///{file}", key)
    assert file.read_bytes() == b"a report\n" * 2000


def test_a_full_disk_is_unavailable_and_once_there_is_room_the_chain_goes_on(file, predicted, key):
    with Ledger(f"sqlite:///{file}", key) as ledger:
        with ledger.database.engine.connect() as connection:
            # Every connection of the pool is the one that was given back last.
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        written = []
        with pytest.raises(LedgerUnavailable, match="SQLITE_FULL"):
            for _ in range(2000):
                written.append(predicted())
                ledger.append_sync([written[-1]])
        late = written.pop()
        ledger.append_sync([late])
        assert all(ledger.get(one.id) == one.sent for one in (*written, late))
        assert whole(ledger)


def test_a_disk_that_is_full_still_is_not_taken_for_one_that_has_room(file, predicted, key, monkeypatch):
    monkeypatch.setattr(writer, "PROBED_EVERY", 0.0)
    with Ledger(f"sqlite:///{file}", key) as ledger:
        engine = ledger.database.engine

        def room(pages):
            full.update(pages=pages)
            engine.dispose()

        full = {}
        sa.event.listen(engine, "connect", lambda c, _: c.execute(f"PRAGMA max_page_count = {full['pages']}"))
        room(1)
        with pytest.raises(LedgerUnavailable):
            for _ in range(2000):
                ledger.append_sync([predicted()])

        def probed():
            ledger.probe()
            while ledger._writer._probing:
                time.sleep(0.01)
            return ledger.problem

        # A checkpoint takes a fraction of a page: the first few have room in the last one.
        for _ in range(100):
            ledger._writer.problem = "Full."
            if probed() is not None:
                break
        assert "SQLITE_FULL" in probed()
        room(2**30)
        assert probed() is None
        assert whole(ledger)


def test_a_log_that_grew_beneath_a_long_reader_is_short_again_once_it_is_done(file, predicted, key, monkeypatch):
    monkeypatch.setattr(database, "LOG_KEPT", 2**20)

    def length():
        return file.with_name("ledger.db-wal").stat().st_size

    with Ledger(f"sqlite:///{file}", key) as ledger:
        with ledger.database.reading() as connection:
            connection.exec_driver_sql("select count(*) from resecta_ledger").fetchall()
            for _ in range(12):
                ledger.append_sync([predicted(digests={"data": os.urandom(2**19).hex()})])
            ledger.database.tidy()
            grown = length()
        ledger.database.tidy()
        ledger.append_sync([predicted()])
        assert length() <= 2**20 < grown
        assert whole(ledger)


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "mysql://host/name"])
def test_an_address_of_no_ledger_is_refused_in_words(url, key):
    with pytest.raises(LedgerError):
        Ledger(url, key)


def test_the_store_holds_ledger_and_key_for_their_owner_alone(tmp_path, predicted):
    with open_ledger({}, tmp_path / "store") as ledger:
        ledger.append_sync([predicted()])
        modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (tmp_path / "store").iterdir()}
    assert set(modes.values()) == {"0o600"}, modes
    (tmp_path / "store" / "ledger.key").unlink()
    with pytest.raises(LedgerError, match="key back"):
        open_ledger({}, tmp_path / "store")


def test_a_key_that_others_can_read_or_that_is_short_is_refused(tmp_path):
    open_ledger({}, tmp_path).close()
    (tmp_path / "ledger.key").chmod(0o644)
    with pytest.raises(LedgerError, match="chmod 600"):
        open_ledger({}, tmp_path)
    with pytest.raises(LedgerError, match="fewer than 32"):
        open_ledger({"RESECTA_LEDGER_KEY": "short"}, tmp_path)


def test_the_export_lets_an_auditor_find_every_digest_and_hash_again(ledger, predicted, tmp_path):
    import hashlib

    from serving.ledger.export import export

    one = predicted()
    ledger.append_sync([one])
    ledger.record_outcome(one.id, STARTED)
    export(ledger.database, tmp_path / "audit.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["checkpoint", "prediction", "outcome"]
    previous = "0" * 64
    for line in lines:
        record = json.dumps(line["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        payload = record + ("\n" + line["answer"] if "answer" in line else "")
        assert hashlib.sha256(payload.encode()).hexdigest() == line["digest"]
        parts = [line["seq"], line["kind"], line["id"], line["at"], line["digest"], previous]
        linked = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
        assert linked == line["hash"]
        previous = linked
