"""The one table of the ledger, as the newest migration leaves it."""

from __future__ import annotations

import sqlalchemy as sa

NAME = "resecta_ledger"
VERSION_TABLE = "resecta_ledger_version"

#: The newest revision in `migrations`. Here as well, so that opening a ledger that is up to date loads no Alembic.
HEAD = "0001"

entries = sa.Table(
    NAME,
    sa.MetaData(),
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("payload", sa.LargeBinary),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("prediction_id", sa.String(64)),
    sa.Column("model_version", sa.String(64)),
    sa.Column("patient", sa.String(64)),
    sa.Column("caller", sa.String(64)),
    sa.Column("latency_ms", sa.Float),
    sa.Column("through", sa.BigInteger),
)

#: Columns that repeat what the payload says; retention empties them with it.
NARROW = ("prediction_id", "model_version", "patient", "caller", "latency_ms", "through")
