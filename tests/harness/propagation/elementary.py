"""Roots, exponentials and logarithms."""

import numpy as np

from tests.harness.propagation.rules import result, rule
from tests.harness.rounded import Array, Rounded


@rule(np.sqrt)
def sqrt(a: Rounded) -> Rounded:
    """The radicand is a sum of squares, which rounding does not take below zero."""
    value = np.sqrt(a.value)
    if a.is_exact:
        return result((a,), value, 0.0)
    below = value - np.sqrt(np.maximum(a.value - a.bound, 0))
    above = np.sqrt(a.value + a.bound) - value
    return result((a,), value, np.maximum(below, above))


@rule(np.exp)
def exp(a: Rounded) -> Rounded:
    value, bound = np.exp(a.value), a.bound
    error = np.where(bound < 1, value * np.expm1(bound), np.exp(a.value + bound) - value)
    return elementary(a, value, error, trivial=a.value == 0)


@rule(np.log)
def log(a: Rounded) -> Rounded:
    relative = a.bound / a.value
    error = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf)
    return elementary(a, np.log(a.value), error, trivial=a.value == 1)


def elementary(a: Rounded, value: Array, error: Array, trivial: Array) -> Rounded:
    """Vector libraries promise 1 ulp, two unit roundoffs; and exp(0) = 1, log(1) = 0 exactly."""
    rounded = result((a,), value, error, roundings=2)
    bound = np.where(trivial & (a.bound == 0), 0.0, rounded.bound)
    return Rounded(a.rounding, value, bound)
