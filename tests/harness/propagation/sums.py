"""Sums of many terms."""

import math

import numpy as np

from tests.harness.propagation.rules import result, rule
from tests.harness.rounded import Array, Rounded, plus


@rule(np.matmul)
def matmul(a: Rounded, b: Rounded) -> Rounded:
    magnitude_a, magnitude_b = a.absolute, b.absolute
    error: Array | float = 0.0
    if not a.is_exact:
        error = product(a.bound, plus(magnitude_b, b.closed_bound))
    if not b.is_exact:
        error = plus(product(magnitude_a, b.bound), error)

    def prescribed() -> Array:
        nan = reached(np.isnan(a.value), np.isnan(b.value))
        infinite = reached(np.isinf(a.value), np.isinf(b.value))
        return (nan & np.isfinite(error)) | (infinite & (a.is_exact and b.is_exact))

    def reached(in_a: Array, in_b: Array) -> Array:
        return (in_a @ np.ones(b.shape) + np.ones(a.shape) @ in_b) > 0

    return result(
        (a, b),
        value=a.value @ b.value,
        error=error,
        magnitude=product(magnitude_a, magnitude_b),
        roundings=a.shape[-1],
        last_bit=a.last_bit + b.last_bit,
        prescribed=prescribed,
        underflows=2 * a.shape[-1],
    )


LARGE = 2**20  # multiplications, from where the time that they take counts
SLACK = 2.0**-100


def product(a: Array, b: Array) -> Array:
    """a @ b of nothing negative, for a bound; of large matrices from above, in float32.

    That is twice as fast. A term meets at most n + 4 roundings, each of a unit roundoff or, where
    it underflows, of 2^-149 times what it is multiplied with: together less than the slack, which
    is less than anything that a matrix of this size is compared by.
    """
    terms = a.shape[-1]
    moderate = (
        a.ndim == b.ndim == 2
        and a.size * b.shape[-1] >= LARGE
        and terms <= 2**20
        and max(a.max(), b.max()) <= 2.0**20
    )
    if not moderate:
        return a @ b
    rounded = a.astype(np.float32) @ b.astype(np.float32)
    rounded *= 1 + (terms + 4) * 2.0**-23
    rounded += SLACK
    return rounded.astype(np.float64)


@rule(np.sum)
def total(a: Rounded, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Rounded:
    def over_axis(x: Array) -> Array:
        return a.stretched(x).sum(axis=axis, keepdims=keepdims)

    axes = range(a.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    terms = math.prod(a.shape[i] for i in axes)
    return result(
        (a,),
        value=over_axis(a.value),
        error=0.0 if isinstance(a.error, float) else over_axis(a.error),
        magnitude=over_axis(a.magnitude),
        roundings=a.roundings + max(terms - 1, 0),
        last_bit=a.last_bit,
        prescribed=lambda: (
            over_axis(~np.isfinite(a.value)).astype(bool) & np.isfinite(over_axis(a.bound))
        ),
        underflows=terms * (a.underflows + 1),
    )
