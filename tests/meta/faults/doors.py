"""Faults of the doors: of what stands between a caller and a sound kernel."""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def of_another_eps() -> Any:
    layer = torch.nn.BatchNorm1d(2, eps=1.0)
    return torch.func.functional_call(layer, dict(layer.named_parameters()), numbers(3, 2))


PLACES |= {
    "vmap": Place(torch.func, "vmap", lambda: torch.func.vmap(F.relu)(numbers(3, 4))),
    "functional_call": Place(torch.func, "functional_call", of_another_eps),
}


def rolled(result: Any) -> Any:
    """A result of vmap, each entry in the place of the one before."""
    if isinstance(result, torch.Tensor):
        return result.roll(1, 0)
    if isinstance(result, dict):
        return {name: rolled(x) for name, x in result.items()}
    return tuple(map(rolled, result))


@fault("vmap", "corner", message="linear: .* on cpu float32 vmap ", elements=12)
def entries_of_a_batch_mixed(sound: Function) -> Function:
    """Each case of a batch gets what its neighbour came to."""

    def vmap(function: Function, *args: Any, **options: Any) -> Any:
        batched: Any = sound(function, *args, **options)

        def call(*inputs: Any) -> Any:
            return rolled(batched(*inputs))

        return call

    return vmap


@fault(
    "functional_call",
    "option",
    message="batch_norm: (output|grad_input) on cpu float32 functional_call ",
    elements=12,
)
def eps_of_the_default(sound: Function) -> Function:
    """A module whose parameters are handed in computes with the eps of others."""

    def functional_call(module: Any, *args: Any, **options: Any) -> torch.Tensor:
        before = getattr(module, "eps", None)
        if before is None:
            return sound(module, *args, **options)
        module.eps = 1e-5
        output = sound(module, *args, **options)
        module.eps = before
        return output

    return functional_call
