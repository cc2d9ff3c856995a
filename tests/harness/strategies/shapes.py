"""Shapes: small ones that people can read, and those where kernels change their ways."""

import math
from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st

SMALL = (1, 2, 3, 4, 5, 6)
BOUNDARIES = (15, 16, 17, 15, 16, 17, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1025)
"""Around the widths of vector registers, the narrowest more often, and of blocks."""

SIDES = (*4 * SMALL, 0, *BOUNDARIES)
"""In one draw: small, which shrinks best, in three of five; empty in one of forty."""


@cache  # a strategy that is drawn from again is not validated again
def sides(at_most: int = 1025, at_least: int = 0) -> st.SearchStrategy[int]:
    """One side of an array."""
    return st.sampled_from([side for side in SIDES if at_least <= side <= at_most] or [at_most])


def room(max_elements: int, shape: Sequence[int]) -> int:
    """How long one more side may be. An empty one counts as 1: layouts put gaps around it."""
    return max_elements // math.prod(max(1, side) for side in shape)


@cache
@st.composite
def shapes(
    draw: st.DrawFn, min_dims: int = 0, max_dims: int = 4, max_elements: int = 4096
) -> tuple[int, ...]:
    """The sides of one array, empty and 0-d ones included, with a limit on their product."""
    shape: list[int] = []
    for _ in range(draw(st.integers(min_dims, max_dims))):
        shape.append(draw(sides(at_most=room(max_elements, shape))))
    return tuple(shape)
