"""Benchmarks: `python -m bench`, `make bench`. Imports everything, and nothing imports it."""
