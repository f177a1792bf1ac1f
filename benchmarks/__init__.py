"""Measurements; each module runs by itself and `make bench` runs them all."""
