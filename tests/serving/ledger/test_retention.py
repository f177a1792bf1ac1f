"""What is too old is removed for good, and the chain says by whom and still holds."""

import datetime as dt

import pytest

import serving.ledger.job as job
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
