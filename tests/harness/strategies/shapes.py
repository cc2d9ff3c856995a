"""Shapes: small ones that people can read, and those where kernels change their ways."""

import math

from hypothesis import strategies as st

BOUNDARIES = (15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1025)
"""Around the widths of vector registers and of the blocks that kernels work in."""


@st.composite
def sides(draw: st.DrawFn, at_most: int = 1025, at_least: int = 0) -> int:
    """One side of an array. Mostly small, since a fault that shows is easiest to read small."""
    large = [side for side in BOUNDARIES if at_least <= side <= at_most]
    if large and draw(st.integers(0, 3)) == 3:
        return draw(st.sampled_from(large))
    return draw(st.integers(at_least, min(6, at_most)))


@st.composite
def shapes(
    draw: st.DrawFn, min_dims: int = 0, max_dims: int = 4, max_elements: int = 4096
) -> tuple[int, ...]:
    """The sides of one array, empty and 0-d ones included, with a limit on their product."""
    shape: list[int] = []
    for _ in range(draw(st.integers(min_dims, max_dims))):
        shape.append(draw(sides(at_most=max_elements // max(1, math.prod(shape)))))
    return tuple(shape)
