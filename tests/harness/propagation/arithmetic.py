"""The arithmetic of two numbers."""

import math

import numpy as np

from tests.harness.formats import FLOAT32
from tests.harness.propagation.rules import result, rule, settled_by_operands, settled_sum
from tests.harness.rounded import RULES, Array, Rounded, all_true, plus


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
    error = plus(underflow(value, a, b), error)

    def prescribed() -> Array:
        # What is surely not 0, times a sure infinity.
        infinite = [np.isinf(x.value) & (x.bound == 0) for x in (a, b)]
        not_zero = [x.bound < np.abs(x.value) for x in (a, b)]
        either = (infinite[0] & not_zero[1]) | (infinite[1] & not_zero[0])
        return either | settled_by_operands(a, b)

    return result((a, b), value, error, last_bit=a.last_bit + b.last_bit, prescribed=prescribed)


def underflow(value: Array, *operands: Rounded) -> Array | float:
    """What float64, as the reference's own format, loses of a result that is too small."""
    if all_true(value):
        return 0.0
    lost = value == 0
    for x in operands:
        lost = lost & (x.value != 0) & np.isfinite(x.value)
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
    if not all_true(nearest > 0):
        error = np.where(nearest > 0, error, np.inf)
    power_of_two = b.is_exact and b.ndim == 0 and np.frexp(b.value)[0] == 0.5
    bit = a.last_bit - math.log2(b.value) if power_of_two else -math.inf
    error = plus(underflow(value, a, b), error)

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
    return with_sign(a, -a.value)


@rule(np.absolute)
def absolute(a: Rounded) -> Rounded:
    return with_sign(a, np.abs(a.value))


def with_sign(a: Rounded, value: Array) -> Rounded:
    """The same sums, but for the sign of each."""
    other = Rounded(
        a.rounding,
        value,
        a.error,
        a.magnitude,
        a.roundings,
        a.last_bit,
        a.selected,
        underflows=a.underflows,
    )
    other.is_stored = a.is_stored
    return other


@rule(np.power)
def power(a: Rounded, exponent: Rounded) -> Rounded:
    """A whole power of a tracked number, by so many multiplications in the exponent's format.

    The power 1/2 is the root, to NumPy and torch as well.
    """
    if exponent.value == 0.5 and exponent.is_exact:
        return RULES[np.sqrt](a)
    n, error = int(exponent.value), a.closed_bound
    if n != exponent.value or n < 1:
        return real_power(a, exponent)
    if a.rounding is not exponent.rounding:
        error = plus(error, exponent.rounding.scalars.half_ulp(a.absolute + error))
        a = Rounded(exponent.rounding, a.value, error)
    if n == 1:
        return a
    value = a.value**n
    error = (np.abs(a.value) + error) ** n - np.abs(value)
    return result((a,), value, plus(underflow(value, a), error), roundings=n)


def real_power(a: Rounded, exponent: Rounded) -> Rounded:
    """Any power of numbers that are not negative; libraries promise 4 ulp, eight unit roundoffs.

    A power is monotonic in the number and in the exponent: it is furthest off where both are. An
    exponent with more digits than float32 has, such as 1 / 3.5, is itself a rounded number.
    """
    value = a.value**exponent.value
    lost = (value == 0) & (a.value != 0) & np.isfinite(a.value)  # in float64, as in a product
    error = np.where(lost, np.nextafter(0.0, 1.0), 0.0)
    rounded = 0.0 if FLOAT32.holds(exponent.value) else 2.0**-53 * np.abs(exponent.value)
    doubt = np.maximum(exponent.bound, rounded)
    for base in (np.maximum(a.value - a.bound, 0), a.value + a.bound):
        for side in (-doubt, doubt):
            corner = base ** (exponent.value + side)
            error = np.maximum(error, np.where(corner == value, 0.0, np.abs(corner - value)))
    error = np.where(np.isnan(error), np.inf, error)

    def prescribed() -> Array:
        return settled_by_operands(a) | ((a.value == 0) & (a.bound == 0))

    return result((a,), value, error, roundings=8, prescribed=prescribed)
