"""The table of entries, to which rows are only added.

A row is never deleted. Its payload, and the columns that repeat it, may be emptied once a later checkpoint says
through which entry; everything that the chain covers stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLE = "resecta_ledger"
KEPT = ("seq", "kind", "id", "at", "digest", "previous", "hash")
EMPTIED = ("payload", "prediction_id", "model_version", "patient", "caller", "latency_ms", "through")


def _refused() -> str:
    same = " AND ".join(f"NEW.{name} = OLD.{name}" for name in KEPT)
    empty = " AND ".join(f"NEW.{name} IS NULL" for name in EMPTIED)
    covered = (
        f"EXISTS (SELECT 1 FROM {TABLE} c WHERE c.kind = 'checkpoint' AND c.seq > OLD.seq AND c.through >= OLD.seq)"
    )
    return f"NOT ({same} AND {empty} AND OLD.kind <> 'checkpoint' AND {covered})"


def upgrade() -> None:
    """Make the table, its indexes and the triggers that refuse."""
    op.create_table(
        TABLE,
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("payload", sa.LargeBinary()),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("prediction_id", sa.String(64)),
        sa.Column("model_version", sa.String(64)),
        sa.Column("patient", sa.String(64)),
        sa.Column("caller", sa.String(64)),
        sa.Column("latency_ms", sa.Float()),
        sa.Column("through", sa.BigInteger()),
    )
    op.create_index(f"{TABLE}_id", TABLE, ["id"], unique=True)
    # Only where there is one: a prediction should not pay for pages that only outcomes and checkpoints need.
    for column in ("prediction_id", "through"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"{TABLE}_{column}", TABLE, [column], sqlite_where=there, postgresql_where=there)
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {TABLE}_no_delete BEFORE DELETE ON {TABLE} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )
        op.execute(
            f"CREATE TRIGGER {TABLE}_no_update BEFORE UPDATE ON {TABLE} WHEN {_refused()} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$"
    )
    # A subquery is not allowed in WHEN there.
    op.execute(
        f"CREATE FUNCTION {TABLE}_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {_refused()} THEN RAISE EXCEPTION 'the ledger is append-only'; END IF; RETURN NEW; END $$"
    )
    for event, level, function in (
        ("UPDATE", "ROW", "guard"),
        ("DELETE", "ROW", "refuse"),
        ("TRUNCATE", "STATEMENT", "refuse"),
    ):
        op.execute(
            f"CREATE TRIGGER {TABLE}_no_{event.lower()} BEFORE {event} ON {TABLE} "
            f"FOR EACH {level} EXECUTE FUNCTION {TABLE}_{function}()"
        )


def downgrade() -> None:
    """Refuse: a ledger is not taken down by a migration."""
    raise NotImplementedError("the ledger is append-only; restore a backup instead")
