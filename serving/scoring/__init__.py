"""Scoring of large files: in chunks, with bounded memory, and resumable after a kill."""
