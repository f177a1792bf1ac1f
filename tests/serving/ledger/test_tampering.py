"""Whoever changes the file, the walk along the chain says where, and what."""

import pytest

from serving.ledger.entry import chain, digest_of
from serving.ledger.packing import pack, unpack
from serving.ledger.verify import Break, verify


@pytest.fixture
def ten(ledger, predicted):
    """A ledger with entries 1 (the checkpoint that begins it) to 11."""
    ledger.append_sync([predicted() for _ in range(10)])
    return ledger


def walked(ledger):
    return verify(ledger.database, ledger.key)


def row(ledger, seq):
    import sqlalchemy as sa

    from serving.ledger.table import entries

    with ledger.database.reading() as connection:
        return connection.execute(sa.select(entries).where(entries.c.seq == seq)).one()


def test_an_untouched_ledger_is_whole(ten):
    verdict = walked(ten)
    assert verdict.broken is None
    assert (verdict.entries, verdict.kinds, verdict.removed) == (11, {"checkpoint": 1, "prediction": 10}, 0)


@pytest.mark.parametrize(
    ("statements", "seq", "what"),
    [
        (["update resecta_ledger set payload = zeroblob(40) where seq = 5"], 5, "payload_changed"),
        (["update resecta_ledger set payload = (select payload from resecta_ledger where seq = 6) where seq = 5"], 5,
         "payload_changed"),
        (["update resecta_ledger set payload = null where seq = 5"], 5, "payload_missing"),
        (["delete from resecta_ledger where seq = 5"], 5, "entry_missing"),
        (["delete from resecta_ledger where seq < 5"], 1, "entry_missing"),
        (["update resecta_ledger set seq = -5 where seq = 5", "update resecta_ledger set seq = 5 where seq = 6",
          "update resecta_ledger set seq = 6 where seq = -5"], 5, "order_changed"),
        (["delete from resecta_ledger where seq = 5", "update resecta_ledger set seq = seq - 1 where seq > 5"], 5,
         "order_changed"),
        (["update resecta_ledger set at = '2020-01-01' where seq = 5"], 5, "hash_wrong"),
        (["update resecta_ledger set id = 'another' where seq = 5"], 5, "hash_wrong"),
        (["update resecta_ledger set hash = previous where seq = 5"], 5, "hash_wrong"),
        (["update resecta_ledger set caller = 'another' where seq = 5"], 5, "index_changed"),
        (["update resecta_ledger set latency_ms = 1 where seq = 5"], 5, "index_changed"),
    ],
)  # fmt: skip
def test_a_change_is_found_at_its_place(ten, forced, statements, seq, what):
    forced(*statements)
    assert walked(ten).broken == Break(seq, what)


def test_an_entry_rewritten_with_its_hash_breaks_the_next(ten, forced):
    five = row(ten, 5)
    payload = unpack(five.payload).replace(b'"wt"', b'"failed"')
    digest = digest_of(payload)
    hash = chain(5, five.kind, five.id, five.at, digest, five.previous)
    forced(
        f"update resecta_ledger set payload = x'{pack(payload).hex()}', digest = '{digest}', hash = '{hash}' "
        "where seq = 5"
    )
    assert walked(ten).broken == Break(6, "hash_wrong")


def test_an_entry_of_another_shape_is_told_and_ends_no_walk(ten, forced):
    five = row(ten, 5)
    for payload in (b"[]", b"{}", b'{"caller": 3, "model": 4}', b"no json"):
        digest = digest_of(payload)
        hash = chain(5, five.kind, five.id, five.at, digest, five.previous)
        forced(
            f"update resecta_ledger set payload = x'{pack(payload).hex()}', digest = '{digest}', hash = '{hash}' "
            "where seq = 5"
        )
        assert walked(ten).broken == Break(5, "payload_changed")


def test_a_chain_rewritten_to_its_end_fails_at_the_next_signed_checkpoint(ledger, predicted, forced):
    ledger.append_sync([predicted() for _ in range(1003)])
    statements, previous = [], row(ledger, 998).hash
    for seq in range(999, 1003):
        old = row(ledger, seq)
        digest = old.digest
        stored = ""
        if seq == 999:
            payload = unpack(old.payload).replace(b'"wt"', b'"failed"')
            digest, stored = digest_of(payload), f"payload = x'{pack(payload).hex()}', "
        hash = chain(seq, old.kind, old.id, old.at, digest, previous)
        statements.append(
            f"update resecta_ledger set {stored}digest = '{digest}', previous = '{previous}', hash = '{hash}' "
            f"where seq = {seq}"
        )
        previous = hash
    forced(*statements)
    # Without the key the checkpoint cannot be signed for its new place.
    assert walked(ledger).broken == Break(1000, "signature_wrong")


def test_an_end_cut_off_shows_against_a_head_noted_before(ten, forced):
    head = walked(ten).head
    assert verify(ten.database, ten.key, head).broken is None
    forced("delete from resecta_ledger where seq > 9")
    assert walked(ten).broken is None
    assert verify(ten.database, ten.key, head).broken == Break(11, "ends_early")


def test_a_checkpoint_by_another_hand_frees_no_payload(ten, forced):
    forced(
        "update resecta_ledger set payload = null, caller = null, model_version = null, latency_ms = null "
        "where seq = 5",
        "insert into resecta_ledger (seq, kind, id, at, payload, digest, previous, hash, through) "
        "select 12, 'checkpoint', 'forged', at, payload, digest, hash, hash, 9 from resecta_ledger where seq = 1",
    )
    assert walked(ten).broken == Break(5, "payload_missing")
