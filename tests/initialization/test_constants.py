"""constant_, ones_, zeros_, eye_ and dirac_: nothing is drawn, and every element is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import init

from reference.initialization import dirac
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.hyperparameters import floats
from tests.harness.targets import Targets
from tests.harness.verdict import check
from tests.initialization.draws import Empty, empties

few = settings(max_examples=max(10, settings().max_examples // 2))
constants = st.sampled_from((0.5, -0.0, 1 / 3, 1e-7, -3e4, float("inf")))


def fits_into(
    targets: Targets,
    component: str,
    empty: Empty,
    expected: Callable[[Rounding], Rounded],
    fill: Any,
) -> None:
    """Each dtype's tensor is filled in place with what is expected, and nothing around it."""
    for dtype, paths in targets.by_dtype("functional"):
        rounding = Rounding.native(dtype)
        for target in paths:
            numbers = empty.filled(component, target, lambda tensor, _: fill(tensor))
            check(component, "numbers", target, numbers.reshape(empty.shape), expected(rounding))


@few
@given(empty=empties(), constant=constants | floats(-1e4, 1e4))
def test_constants_fill_a_tensor(targets: Targets, empty: Empty, constant: float) -> None:
    def everywhere(rounding: Rounding) -> Rounded:
        return np.broadcast_to(rounding.scalar(constant), empty.shape)  # type: ignore[call-overload]

    fits_into(targets, "constant", empty, everywhere, lambda t: init.constant_(t, constant))


@pytest.mark.parametrize(("name", "number"), [("ones", 1.0), ("zeros", 0.0)])
@few
@given(empty=empties())
def test_ones_and_zeros_fill_a_tensor(
    targets: Targets, name: str, number: float, empty: Empty
) -> None:
    def everywhere(rounding: Rounding) -> Any:
        return rounding.array(np.full(empty.shape, number))

    fits_into(targets, name, empty, everywhere, getattr(init, f"{name}_"))


@few
@given(empty=empties(2, 2))
def test_eye_is_the_identity(targets: Targets, empty: Empty) -> None:
    rows, columns = empty.shape
    expected = np.eye(rows, columns)
    fits_into(targets, "eye", empty, lambda rounding: rounding.array(expected), init.eye_)


@dataclass(frozen=True)
class Convolution:
    """A weight of a convolution in groups of output channels."""

    empty: Empty
    groups: int


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    groups = draw(st.sampled_from((1, 2, 3)))
    empty = draw(empties(3, 5))
    shape = (groups * (1 + empty.shape[0] % 4), *(max(1, side % 8) for side in empty.shape[1:]))
    return Convolution(Empty(shape, empty.layout, empty.seed), groups)


@few
@given(case=convolutions())
def test_dirac_passes_channels_on(targets: Targets, case: Convolution) -> None:
    expected = dirac(case.empty.shape, case.groups)
    fits_into(
        targets,
        "dirac",
        case.empty,
        lambda rounding: rounding.array(expected),
        lambda tensor: init.dirac_(tensor, case.groups),
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (1,) * 6])
def test_dirac_takes_three_to_five_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="3, 4, or 5 dimensions"):
        init.dirac_(torch.zeros(shape))
    with pytest.raises(ValueError, match="3 to 5 dimensions"):
        dirac(shape)


def test_dirac_takes_equal_groups() -> None:
    with pytest.raises(ValueError, match="divisible by groups"):
        init.dirac_(torch.zeros(3, 2, 1), groups=2)
    with pytest.raises(ValueError, match="groups: 3 channels do not fall into 2 equal parts"):
        dirac((3, 2, 1), groups=2)


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2)])
def test_eye_takes_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 dimensions"):
        init.eye_(torch.zeros(shape))
