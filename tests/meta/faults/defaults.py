"""Faults of what Linear and BatchNorm start from."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import init

from tests.meta.faults.catalogue import PLACES, Function, Place, fault


def reset(module: Any) -> Any:
    """All that a module keeps, after it was something else and reset."""
    with torch.no_grad():
        for x in module.state_dict().values():
            x.fill_(7)
    module.reset_parameters()
    return module.state_dict()


PLACES |= {
    "Linear defaults": Place(nn.Linear, "reset_parameters", lambda: nn.Linear(4, 3).state_dict()),
    "BatchNorm defaults": Place(
        nn.BatchNorm2d, "reset_parameters", lambda: nn.BatchNorm2d(3).state_dict()
    ),
}


@fault("Linear defaults", "formula", "bias", elements=2)
def bias_starts_at_0(sound: Function) -> Function:
    """The bias is not drawn."""

    def reset(self: Any) -> Any:
        sound(self)
        if self.bias is not None:
            init.zeros_(self.bias)

    return reset


@fault("Linear defaults", "formula", "weight", elements=2)
def limit_of_the_outputs(sound: Function) -> Function:
    """The weight's limit is 1 / sqrt(out_features)."""

    def reset(self: Any) -> Any:
        init.kaiming_uniform_(self.weight, math.sqrt(5), mode="fan_out")
        if self.bias is not None:
            init.uniform_(
                self.bias, -1 / math.sqrt(self.in_features), 1 / math.sqrt(self.in_features)
            )

    return reset


@fault(
    "BatchNorm defaults",
    "state",
    "running_(mean|var)",
    witness=lambda: reset(torch.nn.BatchNorm2d(3)),
    elements=2,
)
def statistics_kept_on_reset(sound: Function) -> Function:
    """reset_parameters leaves the running statistics as they are."""

    def reset(self: Any) -> Any:
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    return reset


@fault("BatchNorm defaults", "formula", "weight", elements=2)
def scale_drawn(sound: Function) -> Function:
    """The scale starts with uniform numbers instead of ones."""

    def reset(self: Any) -> Any:
        sound(self)
        if self.affine:
            init.uniform_(self.weight)

    return reset
