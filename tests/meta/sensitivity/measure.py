"""How small an error of one element is noticed: by its bound, and by the tolerances of torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from tests.harness.comparison import Comparison
from tests.harness.formats import Format
from tests.harness.rounded import Rounded

TOLERANCES = {
    "allclose": dict.fromkeys(("float64", "float32", "bfloat16", "float16"), (1e-5, 1e-8)),
    "assert_close": {
        "float64": (1e-7, 1e-7),
        "float32": (1.3e-6, 1e-5),
        "bfloat16": (1.6e-2, 1e-5),
        "float16": (1e-3, 1e-5),
    },
}
"""rtol and atol, the defaults of `torch.allclose` and `torch.testing.assert_close`: measured here
beside the bound, never relied on."""

JUDGES = ("bound", *TOLERANCES)


@dataclass(frozen=True)
class Measured:
    """One comparison: what each judge notices of an error of one element."""

    least: dict[str, float]  # ulp; infinite where even an error as large as the number is missed
    alarms: dict[str, bool]  # whether the result is called wrong as it is


def moved(x: float, by: float, fmt: Format) -> float:
    """x + by: a number of the format, and finite."""
    return float(np.clip(fmt.round(np.asarray(x + by)), -fmt.max, fmt.max))


def smallest(noticed: Callable[[int], bool], most: int) -> float:
    """The smallest k that is noticed, by bisection; infinite if none up to `most` is."""
    below, above = 0, 1
    while not noticed(above):
        below, above = above, 2 * above
        if above > most:
            return math.inf
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if noticed(middle) else (middle, above)
    return above


@np.errstate(all="ignore")
def measure(
    got: np.ndarray, expected: Rounded, fmt: Format, exact: bool, random: np.random.Generator
) -> Measured | None:
    """Put an error into one element of a result, and look from where on each judge tells.

    Args:
        got: a sound result of torch, in float64.
        expected: the reference's, with its bound.
        fmt: the format of the result.
        exact: whether to take an element that no operation has rounded, and whose bound is zero.
        random: chooses the element, and whether it grows or shrinks.

    Returns:
        None where there is no such element, of normal size, in a result that is right.
    """
    finite = np.isfinite(expected.value) & np.isfinite(got)
    candidates = finite & (expected.absolute >= 2.0**fmt.min_exponent)  # 0 times anything is 0
    if exact:
        candidates &= expected.bound == 0
    places = np.flatnonzero(candidates)
    if not places.size or Comparison.of(got, expected, fmt).wrong.any():
        return None
    at = np.unravel_index(random.choice(places), got.shape)
    start, element = float(got[at]), expected[at]
    want = float(fmt.round(expected.value[at]))
    ulp = float(random.choice((-1, 1)) * fmt.ulp(element.value))
    most = 2**fmt.precision  # ulp: once or twice the number itself

    def by_bound(k: int) -> bool:
        wrong = np.asarray(moved(start, k * ulp, fmt))
        return bool(Comparison.of(wrong, element, fmt).wrong)

    def by_tolerance(rtol: float, atol: float) -> Callable[[int], bool]:
        allowed = atol + rtol * abs(want)
        return lambda k: abs(moved(start, k * ulp, fmt) - want) > allowed

    least = {"bound": smallest(by_bound, most)}
    for judge, tolerances in TOLERANCES.items():
        least[judge] = smallest(by_tolerance(*tolerances[fmt.name]), most)
    return Measured(least, alarms(got[finite], fmt.round(expected.value[finite]), fmt))


def alarms(got: np.ndarray, expected: np.ndarray, fmt: Format) -> dict[str, bool]:
    """What torch itself says of a result that is right."""
    dtype = getattr(torch, fmt.name)
    actual, sound = (torch.from_numpy(numbers).to(dtype) for numbers in (got, expected))
    try:
        torch.testing.assert_close(actual, sound)
    except AssertionError:
        differs = True
    else:
        differs = False
    return {"allclose": not torch.allclose(actual, sound), "assert_close": differs}
