"""Faults of xavier_* and kaiming_*: numbers with another parameter."""

import math
from typing import Any

import torch
from torch.nn import init

from tests.meta.faults.catalogue import PLACES, Function, Place, fault

Tensor = torch.Tensor


PLACES |= {
    "xavier_uniform": Place(
        init, "xavier_uniform_", lambda: init.xavier_uniform_(torch.empty(4, 3))
    ),
    "xavier_normal": Place(init, "xavier_normal_", lambda: init.xavier_normal_(torch.empty(4, 3))),
    "kaiming_uniform": Place(
        init, "kaiming_uniform_", lambda: init.kaiming_uniform_(torch.empty(4, 3))
    ),
    "kaiming_normal": Place(
        init, "kaiming_normal_", lambda: init.kaiming_normal_(torch.empty(4, 3))
    ),
}


@fault(
    "kaiming_uniform",
    "option",
    "numbers",
    witness=lambda: init.kaiming_uniform_(torch.empty(4, 2), a=2.0),
    elements=64,
)
def slope_ignored(sound: Function) -> Function:
    """The gain is that of ReLU, whatever the slope."""
    return lambda tensor, a=0.0, **options: sound(tensor, 0.0, **options)


@fault(
    "kaiming_normal",
    "corner",
    "numbers",
    witness=lambda: init.kaiming_normal_(torch.empty(4, 2, 3)),
    elements=64,
)
def positions_forgotten(sound: Function) -> Function:
    """A corner of convolutions: fans count channels, and not the positions of the kernel."""

    def kaiming(tensor: Tensor, **options: Any) -> Tensor:
        positions = math.prod(tensor.shape[2:])
        return sound(tensor, **options).mul_(math.sqrt(positions))

    return kaiming


@fault("xavier_normal", "formula", "numbers", elements=64)
def fans_multiplied(sound: Function) -> Function:
    """The spread is gain / sqrt(fan_in), as if the fans were the same."""

    def xavier(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
        std = gain / math.sqrt(math.prod(tensor.shape[1:]))
        return tensor.normal_(0.0, std, generator=generator)

    return xavier


@fault(
    "xavier_uniform",
    "precision",
    "numbers",
    witness=lambda: init.xavier_uniform_(torch.empty(4, 3, dtype=torch.float64)),
    elements=64,
    dtype="float64",
)
def a_float32_for_a_limit(sound: Function) -> Function:
    """A corner of float64: the limit is rounded to float32."""

    def xavier(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
        fans = sum(tensor.shape[:2]) * math.prod(tensor.shape[2:])
        limit = torch.tensor(gain * math.sqrt(6 / fans), dtype=torch.float32).item()
        return tensor.uniform_(-limit, limit, generator=generator)

    return xavier


@fault(
    "kaiming_normal",
    "option",
    "numbers",
    witness=lambda: init.kaiming_normal_(torch.empty(4, 3), mode="fan_out"),
    elements=64,
)
def mode_ignored(sound: Function) -> Function:
    """The spread is that of the inputs, also where that of the outputs was asked for."""
    return lambda tensor, a=0.0, mode="fan_in", **options: sound(tensor, a, **options)


@fault(
    "xavier_uniform",
    "option",
    "numbers",
    witness=lambda: init.xavier_uniform_(torch.empty(4, 3), 2.0),
    elements=64,
)
def gain_squared(sound: Function) -> Function:
    """The limit is proportional to the square of the gain."""
    return lambda tensor, gain=1.0, **options: sound(tensor, gain**2, **options)
