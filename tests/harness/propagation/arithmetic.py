"""The arithmetic of two numbers."""

import math

import numpy as np

from tests.harness.propagation.rules import result, rule, settled_by_operands, settled_sum
from tests.harness.rounded import Array, Rounded, plus


@rule(np.add)
def add(a: Rounded, b: Rounded) -> Rounded:
    return result(
        (a, b),
        value=a.value + b.value,
        error=plus(a.error, b.error),
        magnitude=a.magnitude + b.magnitude,
        roundings=a.roundings + b.roundings + 1,
        last_bit=min(a.last_bit, b.last_bit),
        prescribed=settled_sum(a, b),
        underflows=a.underflows + b.underflows + 1,
    )


@rule(np.subtract)
def subtract(a: Rounded, b: Rounded) -> Rounded:
    return result(
        (a, b),
        value=a.value - b.value,
        error=plus(a.closed_bound, b.closed_bound),
        last_bit=min(a.last_bit, b.last_bit),
        prescribed=settled_sum(a, b),
    )


@rule(np.multiply)
def multiply(a: Rounded, b: Rounded) -> Rounded:
    for one, other in ((a, b), (b, a)):
        if one.is_exact and one.ndim == 0 and one.value == 1:
            return other  # no implementation rounds a product with 1
    error: Array | float = 0.0
    if not a.is_exact:
        error = a.bound * plus(b.absolute, b.closed_bound)
    if not b.is_exact:
        error = plus(a.absolute * b.bound, error)
    value = a.value * b.value
    error = plus(underflow(a, b, value), error)
    return result((a, b), value, error, last_bit=a.last_bit + b.last_bit)


def underflow(a: Rounded, b: Rounded, value: Array) -> Array | float:
    """What float64, as the reference's own format, loses of a product of tiny numbers."""
    if value.all():
        return 0.0
    lost = (value == 0) & (a.value != 0) & (b.value != 0)
    return np.where(lost, np.nextafter(0.0, 1.0), 0.0) if lost.any() else 0.0


@rule(np.true_divide)
def divide(a: Rounded, b: Rounded) -> Rounded:
    value = a.value / b.value
    nearest = np.abs(b.value)  # that the divisor may come to zero
    error = a.closed_bound
    if not b.is_exact:
        nearest = nearest - b.bound
        error = plus(np.abs(value) * b.bound, error)
    if type(error) is not float:  # np.float64 is one, too
        error = error / nearest
    if not nearest.min(initial=1.0) > 0:
        error = np.where(nearest > 0, error, np.inf)
    power_of_two = b.is_exact and b.ndim == 0 and np.frexp(b.value)[0] == 0.5
    bit = a.last_bit - math.log2(b.value) if power_of_two else -math.inf

    def prescribed() -> Array:
        # The sign of a zero is sure where it was copied; 0 / 0 is NaN whatever the sign.
        zero = (b.value == 0) & (b.bound == 0)
        sure = (a.value == 0) & (a.bound == 0)
        if b.selected:
            sure = sure | (a.bound < np.abs(a.value))
        return (zero & sure) | settled_by_operands(a, b)

    return result((a, b), value, error, last_bit=bit, prescribed=prescribed)


@rule(np.negative)
def negative(a: Rounded) -> Rounded:
    return Rounded(
        a.rounding,
        -a.value,
        a.error,
        a.magnitude,
        a.roundings,
        a.last_bit,
        a.selected,
        underflows=a.underflows,
    )


@rule(np.power)
def power(a: Rounded, exponent: Rounded) -> Rounded:
    """A whole power of a tracked number, by so many multiplications in the exponent's format."""
    n, error = int(exponent.value), a.closed_bound
    if a.rounding is not exponent.rounding:
        error = plus(error, exponent.rounding.scalars.half_ulp(a.absolute + error))
        a = Rounded(exponent.rounding, a.value, error)
    value = a.value**n
    return result((a,), value, (np.abs(a.value) + error) ** n - np.abs(value), roundings=n)
