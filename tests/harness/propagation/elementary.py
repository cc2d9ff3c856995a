"""Roots, exponentials and logarithms."""

import numpy as np

from tests.harness.propagation.rules import result, rule
from tests.harness.rounded import Array, Rounded, all_below, all_true

SMALLEST = np.finfo(np.float64).tiny  # in place of a zero divisor of zero


class Promised:
    """How many unit roundoffs libraries may be off, the farthest of a run's devices.

    On the CPU vector libraries promise 1 ulp, and roots are only rounded. In CUDA an exponential
    may be 2 ulp off, and so may the inverse of a root, which is one function there:
    docs.nvidia.com/cuda/cuda-c-programming-guide, "mathematical functions".
    """

    exp = 2
    sqrt = 1

    @classmethod
    def by(cls, kinds: set[str]) -> None:
        """By these kinds of devices."""
        elsewhere = bool(kinds - {"cpu", "meta"})
        cls.exp, cls.sqrt = (4, 3) if elsewhere else (2, 1)


@rule(np.sqrt)
def sqrt(a: Rounded) -> Rounded:
    """The radicand is a sum of squares, which rounding does not take below zero."""
    value = np.sqrt(a.value)
    if a.is_exact:
        return result((a,), value, 0.0, roundings=Promised.sqrt)
    least = a.value - a.bound
    # sqrt(a) - sqrt(a - b) = b / (sqrt(a) + sqrt(a - b)), and the way up is shorter
    error = a.bound / np.maximum(value + np.sqrt(np.maximum(least, 0)), SMALLEST)
    if not all_true(least >= 0):
        error = np.where(least < 0, np.maximum(value, np.sqrt(a.value + a.bound) - value), error)
    return result((a,), value, error, roundings=Promised.sqrt)


@rule(np.exp)
def exp(a: Rounded) -> Rounded:
    x, bound = a.value, a.bound
    value = np.exp(x)
    error = value * np.expm1(bound)
    if not all_below(bound, 1.0):
        error = np.where(bound < 1, error, np.exp(x + bound) - value)
    trivial = (a.value == 0) | np.isinf(a.value)
    return elementary(a, value, error, trivial, roundings=Promised.exp)


@rule(np.log)
def log(a: Rounded) -> Rounded:
    return logarithm(a, a.value, np.log(a.value))


@rule(np.log1p)
def log1p(a: Rounded) -> Rounded:
    return logarithm(a, 1 + a.value, np.log1p(a.value))


def logarithm(a: Rounded, x: Array, value: Array) -> Rounded:
    """Of x, which is off by as much as a."""
    relative = a.bound / x
    if all_below(relative, 1.0):
        error = -np.log1p(-relative)
    else:
        error = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf)
    return elementary(a, value, error, trivial=value == 0)


def elementary(
    a: Rounded, value: Array, error: Array, trivial: Array, roundings: int = 2
) -> Rounded:
    """Vector libraries promise 1 ulp, two unit roundoffs; and exp(0) = 1, log(1) = 0 exactly.

    Below the smallest number of the format, 1 ulp is that number: it may stand for less.
    """
    error = np.maximum(error, roundings / 2 * 2.0**a.rounding.compute.last_bit)
    rounded = result((a,), value, error, roundings=roundings)
    if not np.count_nonzero(trivial):
        return Rounded(a.rounding, value, rounded.bound)
    return Rounded(a.rounding, value, np.where(trivial & (a.bound == 0), 0.0, rounded.bound))
