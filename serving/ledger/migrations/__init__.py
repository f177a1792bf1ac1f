"""Alembic's environment: how the ledger's table comes to be as it is."""
