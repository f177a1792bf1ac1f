"""What is too old is removed for good, and the chain says by whom and still holds."""

import datetime as dt
import os

import pytest

import serving.ledger.job as job
import serving.ledger.retention as sweeping
from serving.ledger import LedgerError, Removed
from serving.ledger.retention import retention
from serving.ledger.verify import Break, verify

STARTED = {"index_date": "2020-02-01", "planned_backbone": "folfox", "planned_biologic": "none"}


@pytest.fixture
def aged(ledger, predicted, monkeypatch):
    """Three predictions of 2020, one with an outcome, and two of now."""
    old = [predicted(patient=ledger.pseudonym(f"patient {i}")) for i in range(3)]
    with monkeypatch.context() as then:
        then.setattr(job, "now", lambda: "2020-01-15T10:00:00.000000+00:00")
        ledger.append_sync(old)
        ledger.record_outcome(old[0].id, STARTED)
    young = [predicted() for _ in range(2)]
    ledger.append_sync(young)
    return ledger, old, young


def removed(ledger, before=dt.date(2021, 1, 1)):
    return retention(ledger.database, ledger.key, before, "policy 2024-11", "auditor")


def test_a_removal_cut_short_leaves_the_chain_whole_and_the_next_one_ends_it(aged, monkeypatch):
    ledger, old, young = aged
    monkeypatch.setattr(sweeping, "BATCH", 2)

    def cut(empty=False):
        raise KeyboardInterrupt

    with monkeypatch.context() as short, pytest.raises(KeyboardInterrupt):
        short.setattr(ledger.database, "tidy", cut)
        removed(ledger)
    verdict = verify(ledger.database, ledger.key)
    assert (verdict.broken, verdict.removed, verdict.entries) == (None, 2, 8)
    with pytest.raises(Removed):
        ledger.get(old[0].id)
    assert ledger.get(old[2].id) == old[2].sent
    rest = removed(ledger)
    assert (rest.count, rest.through, rest.receipt) == (2, 5, None)
    verdict = verify(ledger.database, ledger.key)
    assert (verdict.broken, verdict.removed, verdict.entries) == (None, 4, 8)
    assert [ledger.get(one.id) for one in young] == [one.sent for one in young]
    assert removed(ledger).count == 0


def test_answers_are_written_between_the_batches_of_a_removal(aged, predicted, monkeypatch):
    ledger, _, _ = aged
    monkeypatch.setattr(sweeping, "BATCH", 1)
    tidy, late = ledger.database.tidy, []

    def meanwhile(empty=False):
        late.append(predicted())
        ledger.append_sync([late[-1]])
        assert verify(ledger.database, ledger.key).broken is None
        tidy(empty)

    monkeypatch.setattr(ledger.database, "tidy", meanwhile)
    assert removed(ledger).count == 4
    assert len(late) == 5 and all(ledger.get(one.id) == one.sent for one in late)


def test_the_log_stays_short_while_much_is_removed(ledger, predicted, file, monkeypatch):
    with monkeypatch.context() as then:
        then.setattr(job, "now", lambda: "2020-01-15T10:00:00.000000+00:00")
        # Random text, so that an entry takes eight pages.
        ledger.append_sync([predicted(digests={"data": os.urandom(32768).hex()}) for _ in range(120)])
    monkeypatch.setattr(sweeping, "BATCH", 20)
    ledger.database.tidy(empty=True)
    tidy, lengths = ledger.database.tidy, []

    def measured(empty=False):
        lengths.append(file.with_name("ledger.db-wal").stat().st_size)
        tidy(empty)

    monkeypatch.setattr(ledger.database, "tidy", measured)
    assert removed(ledger).count == 120
    # The whole is 4 MB, most of which overflows into pages of its own that are overwritten.
    assert max(lengths) < 1.5 * lengths[0]


def test_what_is_older_goes_and_the_rest_stays_and_the_chain_is_whole(aged):
    ledger, old, young = aged
    done = removed(ledger)
    assert (done.count, done.through) == (4, 5)
    for one in old:
        with pytest.raises(Removed):
            ledger.get(one.id)
    assert [ledger.get(one.id) for one in young] == [one.sent for one in young]
    verdict = verify(ledger.database, ledger.key)
    assert (verdict.broken, verdict.removed) == (None, 4)
    with pytest.raises(Removed):
        ledger.record_outcome(old[0].id, STARTED)
    assert removed(ledger).count == 0


def test_old_comparisons_and_explanations_go_as_predictions_do(ledger, looked, monkeypatch):
    with monkeypatch.context() as then:
        then.setattr(job, "now", lambda: "2020-01-15T10:00:00.000000+00:00")
        old = looked()
        ledger.append_sync(old)
    ledger.append_sync(looked())
    assert removed(ledger).count == 2
    for one in old:
        with pytest.raises(Removed):
            ledger.get(one.id)
    verdict = verify(ledger.database, ledger.key)
    assert (verdict.broken, verdict.removed) == (None, 2)
    assert verdict.kinds == {"checkpoint": 2, "comparison": 2, "explanation": 2}


def test_nothing_of_what_was_removed_is_left_in_any_file(aged, file):
    import sqlite3

    ledger, old, _ = aged
    with sqlite3.connect(file) as connection:
        (stored,) = connection.execute("select payload from resecta_ledger where id = ?", (old[1].id,)).fetchone()
    removed(ledger)
    for part in file.parent.glob("ledger.db*"):
        held = part.read_bytes()
        assert stored[100:140] not in held
        assert old[1].patient.encode() not in held


def test_the_chain_goes_on_after_a_removal(aged, predicted, forced):
    ledger, _, _ = aged
    removed(ledger)
    ledger.append_sync([predicted()])
    assert verify(ledger.database, ledger.key).broken is None
    forced("update resecta_ledger set at = '2020-01-16' where seq = 3")
    assert verify(ledger.database, ledger.key).broken == Break(3, "hash_wrong")


def test_a_payload_taken_beyond_the_checkpoint_shows(aged, forced):
    ledger, _, _ = aged
    removed(ledger)
    forced("update resecta_ledger set payload = null where seq = 6")
    assert verify(ledger.database, ledger.key).broken == Break(6, "payload_missing")


def test_a_checkpoint_that_says_more_than_was_signed_frees_nothing(aged, forced):
    ledger, _, _ = aged
    removed(ledger)
    forced(
        "update resecta_ledger set payload = null where seq = 6", "update resecta_ledger set through = 6 where seq = 8"
    )
    assert verify(ledger.database, ledger.key).broken == Break(6, "payload_missing")


@pytest.mark.parametrize(
    ("before", "reason", "by", "words"),
    [
        (dt.date(2999, 1, 1), "policy", "auditor", "6 months"),
        (dt.date(2021, 1, 1), "the patient asked\nfor it", "auditor", "reason"),
        (dt.date(2021, 1, 1), "policy", "Dr. A. Body", "one word"),
    ],
)
def test_a_removal_asked_wrongly_is_refused(aged, before, reason, by, words):
    ledger, old, _ = aged
    with pytest.raises(LedgerError, match=words):
        retention(ledger.database, ledger.key, before, reason, by)
    assert ledger.get(old[0].id) == old[0].sent
