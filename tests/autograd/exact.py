"""Numbers on which nothing rounds, and the targets that they are tried on."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.harness.strategies.arrays import arrays
from tests.harness.targets import Target, Targets

whole = st.integers(1, 4).flatmap(lambda n: arrays((n,), "integers", "contiguous", special=False))
"""Vectors of whole numbers: their squares and few sums of them are exact in every dtype."""

square = arrays((2, 2), "integers", "contiguous", special=False)


def first(targets: Targets) -> list[Target]:
    """For what is recorded and kept, the dtype makes no difference."""
    return [target for _, paths in list(targets.by_dtype("backward"))[:1] for target in paths]


def every(targets: Targets) -> list[Target]:
    return [target for _, paths in targets.by_dtype("backward") for target in paths]
