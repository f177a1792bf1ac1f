"""Run by Alembic: migrates over the connection that `serving.ledger.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from serving.ledger.table import VERSION_TABLE, entries

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=entries.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
