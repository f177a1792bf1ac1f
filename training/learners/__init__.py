"""Candidates: ways to learn one outcome given its parent."""

from training.learners.candidate import CANDIDATES, Candidate, Fit, fit_candidate

__all__ = ["CANDIDATES", "Candidate", "Fit", "fit_candidate"]
