"""How a script ends: what it holds its result against, or the error that torch raises."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pytest
import torch

from tests.harness.comparison import WORST, Comparison
from tests.harness.reproducer.assertions import condition_of
from tests.harness.reproducer.literals import same_bits
from tests.harness.reproducer.tape import Tape
from tests.harness.verdict import ACCEPTED, IS_THERE, REFUSED, Deviation


class Ending(Protocol):
    """The last lines of a script, after its calls."""

    @property
    def result(self) -> str:
        """The expression that is wrong; "" where a call raises."""
        ...

    def lines(self) -> Sequence[str]: ...

    def same(self, result: Any) -> bool:
        """Whether a run of the calls comes to what the test saw."""
        ...


def ending_of(  # noqa: PLR0911  (one for each ending)
    tape: Tape, error: BaseException
) -> Ending | None:
    """What a failure says of the last calls, if it does."""
    if tape.raised and tape.raised[1] is error:
        return Raising(error)
    right = error.right if isinstance(error, Deviation) else ""
    if right == ACCEPTED and tape.raised:
        return Raising(tape.raised[1])
    if tape.last and (right == REFUSED or (is_failed(error) and "DID NOT RAISE" in str(error))):
        return Refusing()
    if not isinstance(error, Deviation):
        condition = condition_of(tape, error) if isinstance(error, AssertionError) else None
        return Asserting(condition) if condition else None
    if right == IS_THERE and error.actual is None and tape.last:
        return Judging(tape.last.text, right)
    result = tape.expression_of(error.actual)
    if result is None:
        return None
    if right:
        return Judging(result, right)
    wrong = error.actual.detach().clone()
    if error.comparison is not None:
        return Comparing(result, wrong, error.comparison)
    return Describing(result, described(wrong), error.wanted)


def is_failed(error: BaseException) -> bool:
    """Whether pytest made it: of `pytest.raises`, for example."""
    return isinstance(error, pytest.fail.Exception)


@dataclass
class Comparing:
    """Numbers, against the exact ones and their bounds."""

    result: str
    wrong: torch.Tensor
    comparison: Comparison

    def same(self, result: Any) -> bool:
        """Bit for bit, but for the bits of NaN."""
        if not isinstance(result, torch.Tensor):
            return False
        x, y = (z.detach().nan_to_num(7, torch.inf, -torch.inf) for z in (result, self.wrong))
        return same_bits(x, y)

    def lines(self) -> Sequence[str]:
        """Plain lines for the worst elements."""
        worst = self.comparison.worst(WORST)
        value, bound = self.comparison.value, self.comparison.bound
        lines = [
            "# index: (the exact value, how far rounding may take torch from it)",
            "expected = {",
            *(
                f"    {tuple(map(int, at))}: ({exact(value[at])}, {exact(bound[at])}),"
                for at in worst
            ),
            "}",
            "wrong = 0",
            "for index, (value, bound) in expected.items():",
            "    number = got[index].item()",
            "    right = abs(number - value) <= bound or str(number) == str(value)",
        ]
        if self.comparison.expected.selected and any(value[at] == 0 for at in worst):
            lines.append("    right = right and str(number) == str(value)  # with its sign")
        return [
            *lines,
            "    wrong += not right",
            "    print(index, 'right' if right else 'WRONG')",
            "    print(f'  expected {value!r}, give or take {bound:.3g}\\n  got      {number!r}')",
            "raise SystemExit(wrong > 0)",
        ]


def exact(x: np.floating[Any]) -> str:
    """The float64 itself."""
    return re.sub(r"(inf|nan)", r"float('\1')", repr(float(x)))


def described(x: torch.Tensor) -> tuple[str, tuple[int, ...], str]:
    return str(x.dtype), tuple(x.shape), x.device.type


@dataclass
class Describing:
    """A dtype, shape and device, against those that a result must have."""

    result: str
    was: tuple[str, tuple[int, ...], str]
    wanted: Any

    def same(self, result: Any) -> bool:
        return isinstance(result, torch.Tensor) and described(result) == self.was

    def lines(self) -> Sequence[str]:
        return [
            "got = str(got.dtype), tuple(got.shape), got.device.type",
            f"expected = {self.wanted!r}",
            "print('expected', expected)",
            "print('got     ', got)",
            "raise SystemExit(got != expected)",
        ]


@dataclass
class Judging:
    """A condition that must be true of the result."""

    result: str
    right: str

    def same(self, result: Any) -> bool:
        if isinstance(result, BaseException):
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not eval(self.right, {"got": result, "torch": torch})

    def lines(self) -> Sequence[str]:
        return [
            f"right = {self.right}",
            f"print({self.right!r}, 'is', bool(right))",
            "raise SystemExit(not right)",
        ]


@dataclass
class Asserting:
    """What a test has asserted."""

    result: str

    def same(self, result: Any) -> bool:
        return not (isinstance(result, BaseException) or result)

    def lines(self) -> Sequence[str]:
        return ["print('right' if got else 'WRONG')", "raise SystemExit(not got)"]


@dataclass
class Raising:
    """An error of torch, where there is no reason for one."""

    error: BaseException
    result: str = ""

    def same(self, result: Any) -> bool:
        both = ((type(error), str(error).partition("\n")[0]) for error in (result, self.error))
        return len(set(both)) == 1

    def lines(self) -> Sequence[str]:
        return ["raise SystemExit(0)  # nothing above must raise"]


@dataclass
class Refusing:
    """A last call that must raise, and does not."""

    result: str = ""

    def same(self, result: Any) -> bool:
        return not isinstance(result, BaseException)

    def lines(self) -> Sequence[str]:
        return ["print('wrong: it raises nothing')", "raise SystemExit(1)"]
