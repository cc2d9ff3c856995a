"""Faults of what sets numbers instead of drawing them."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import init

from tests.meta.faults.catalogue import PLACES, Function, Place, fault

Tensor = torch.Tensor


def inside(fill: Callable[[Tensor], Any]) -> Any:
    """The whole of a matrix whose middle is filled."""
    matrix = torch.full((4, 4), 7.0)
    fill(matrix[1:3, 1:3])
    return matrix


PLACES |= {
    "constant": Place(init, "constant_", lambda: init.constant_(torch.empty(3), 0.1)),
    "eye": Place(init, "eye_", lambda: init.eye_(torch.empty(3, 2))),
    "dirac": Place(init, "dirac_", lambda: init.dirac_(torch.empty(4, 2, 3), 1)),
}


@fault(
    "dirac", "corner", "numbers", witness=lambda: init.dirac_(torch.empty(2, 2, 4), 1), elements=64
)
def before_the_middle(sound: Function) -> Function:
    """A corner of kernels with an even side: the position before the middle is taken."""

    def dirac(tensor: Tensor, groups: int) -> Tensor:
        sound(tensor, groups)
        if tensor.shape[2] % 2 == 0:
            tensor.copy_(tensor.roll(-1, 2))
        return tensor

    return dirac


@fault(
    "constant",
    "corner",
    "numbers",
    witness=lambda: init.constant_(torch.zeros(3, 2).T, 0.1),
    elements=64,
)
def copy_filled(sound: Function) -> Function:
    """A tensor that is not contiguous is made so, and the copy filled."""

    def constant(tensor: Tensor, value: float) -> Tensor:
        sound(tensor.contiguous(), value)
        return tensor

    return constant


@fault("eye", "aliasing", "surroundings", witness=lambda: inside(init.eye_))
def gaps_cleared(sound: Function) -> Function:
    """A corner of layouts: all that the tensor is a view into is set to 0 first."""

    def eye(tensor: Tensor) -> Tensor:
        torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage()).zero_()
        return sound(tensor)

    return eye


@fault(
    "dirac",
    "option",
    "numbers",
    witness=lambda: init.dirac_(torch.empty(4, 2, 3), 2),
    elements=64,
)
def groups_ignored(sound: Function) -> Function:
    """All channels are one group."""
    return lambda tensor, groups=1: sound(tensor, 1)
