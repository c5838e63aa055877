"""The figures that earmark claims, each measured beside its peer in one run: ``python -m benchmarks``."""
