"""The verdict on one result of torch: compare, record, and raise where it deviates."""

from typing import Any, NoReturn

import torch

from tests.harness import switches
from tests.harness.border import to_numpy
from tests.harness.comparison import Comparison
from tests.harness.deviations import ledger
from tests.harness.formats import FORMATS
from tests.harness.record import RECORD, Tally
from tests.harness.rounding import Rounding
from tests.harness.targets import Target
from tests.harness.without_data import LAYOUTS

REFUSED = "refused"  # in the place of a condition: the last call must raise
ACCEPTED = "accepted"  # the last call must not raise
IS_THERE = "got is not None"


class Deviation(AssertionError):
    """torch computed something that no faithful implementation computes."""

    def __init__(
        self,
        text: str,
        actual: Any = None,
        comparison: Comparison | None = None,
        wanted: Any = None,
        right: str = "",
    ) -> None:
        super().__init__(text)
        self.actual, self.comparison = actual, comparison
        self.wanted = wanted  # dtype, shape and device, where those are wrong
        self.right = right  # else: what must be true of `got`, in Python
        self.switches = switches.changed()


def check(
    component: str, output: str, target: Target, actual: torch.Tensor | None, expected: Any
) -> None:
    """Compare a result of torch with the reference's, element by element, or raise Deviation.

    A value within the bound of the expected one passes. Infinities and NaN must be those expected.
    A zero that was only copied must have its sign.
    """
    if actual is None:
        text = f"{component}: {output} on {target} is missing: torch returned None"
        raise Deviation(text, right=IS_THERE)
    described = (actual.dtype, actual.shape, actual.device.type)
    wanted = (target.torch_dtype, expected.shape, target.device_type)
    if described != wanted:
        is_, must = (
            (str(dtype), tuple(shape), device) for dtype, shape, device in (described, wanted)
        )
        text = f"{component}: {output} on {target} is {is_}, expected {must}"
        raise Deviation(text, actual, wanted=must)

    key = (component, output, target.dtype, target.path)
    if target.device == "meta":
        if wrong_layout := LAYOUTS.compare(key, actual):
            deviates(component, output, target, wrong_layout)
        tally = RECORD.tally((target.device, component, target.path, output), target.dtype)
        tally.add(Tally(examples=1))
        return
    if target.device == "cpu":
        LAYOUTS.keep(key, actual)
    got = to_numpy(actual)
    fmt = FORMATS[target.dtype]
    comparison = Comparison.of(got, expected, fmt)
    tally = RECORD.tally((target.device, component, target.path, output), target.dtype)
    wrong = bool(comparison.wrong.any())
    for known in ledger():
        if known.component == component and known.covers(component, output, target, actual):
            RECORD.replayed(known.id, not wrong, wrong)
            if wrong:
                tally.add(Tally(examples=1, elements=comparison.got.size, known=1))
                return
    tally.add(comparison.tally())
    if wrong:
        where = f"{component}: {output} on {target}"
        text = f"{where} deviates from the reference\n{comparison.explain()}"
        raise Deviation(text, actual, comparison)


def exactly(
    component: str, output: str, target: Target, actual: torch.Tensor, expected: Any
) -> None:
    """Compare a result of torch with numbers of its dtype, to the last bit."""
    check(component, output, target, actual, Rounding.kernel(target.dtype).array(expected))


def deviates(
    component: str, output: str, target: Target, what: str, got: Any = None, right: str = ""
) -> NoReturn:
    """Count and raise a deviation that is no matter of numbers.

    `right` is a condition in Python that `got`, a tensor, module or optimizer of torch, or a tuple
    of them, does not fulfil: the script of the failure ends with it.
    """
    tally = RECORD.tally((target.device, component, target.path, output), target.dtype)
    tally.add(Tally(examples=1, deviations=1))
    raise Deviation(f"{component}: {output} on {target} {what}", got, right=right)
