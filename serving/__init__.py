"""Answers requests: the service, its guards, and the documents that describe it."""
