"""A registry of invented patients with a known truth: it demonstrates and tests, it is not knowledge.

It reads its own ranges of effects and never the evidence prior, so that models are not judged by what they were given.
"""

from training.simulator.draw import draw_truth
from training.simulator.export import write_registry, write_truth
from training.simulator.simulation import simulate
from training.simulator.table import WITHIN
from training.simulator.truth import Truth

__all__ = ["WITHIN", "Truth", "draw_truth", "simulate", "write_registry", "write_truth"]
