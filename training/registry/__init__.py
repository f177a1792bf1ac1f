"""Registries: read under our own names, then made into a cohort."""

from training.registry.cohort import Cohort, FlowStep, build_cohort
from training.registry.column_map import ColumnMap, ColumnMapError, load_column_map
from training.registry.registry import Registry, read_registry
from training.registry.source import RegistryUnreadable
from training.registry.sql import AddressRefused, Database

__all__ = [
    "AddressRefused",
    "Cohort",
    "ColumnMap",
    "ColumnMapError",
    "Database",
    "FlowStep",
    "Registry",
    "RegistryUnreadable",
    "build_cohort",
    "load_column_map",
    "read_registry",
]
