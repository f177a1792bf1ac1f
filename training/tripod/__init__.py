"""The reporting record of a model: TRIPOD+AI, item by item, filled as far as artefacts allow."""

from training.tripod.facts import Count, DataValidation, Described, Flow, Missing, TripodFacts, gather
from training.tripod.probast import Probast, probast
from training.tripod.tripod import SubItem, TripodRecord, load_items, tripod

__all__ = [
    "Count",
    "DataValidation",
    "Described",
    "Flow",
    "Missing",
    "Probast",
    "SubItem",
    "TripodFacts",
    "TripodRecord",
    "gather",
    "load_items",
    "probast",
    "tripod",
]
