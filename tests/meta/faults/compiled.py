"""Faults of torch.compile: of the code that it writes in place of sound kernels.

Where else the named faults of devices and doors are: TF32 left on is `operands_rounded_to_tf32` in
linear.py. A kernel that is wrong on the second device only needs that device in the process, and so
a run of its own: `tests/meta/test_devices.py` starts it, with `tests.meta.second_device_tf32`.
"""

from typing import Any

import torch
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def not_really_compiled() -> Any:
    """Compiling takes seconds, and is not what is wrong."""
    return torch.compile(F.relu, disable=True)(numbers(3, 4))


PLACES["compile"] = Place(torch, "compile", not_really_compiled)


@fault(
    "compile",
    "precision",
    message="(linear|clip_grad_norm): .* on cpu float32 compiled ",
    elements=12,
)
def result_rounded_on_the_way(sound: Function) -> Function:
    """Two kernels are fused, and hand over what lies between them in bfloat16."""

    def compile(function: Function, **options: Any) -> Any:
        code: Any = sound(function, **options)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = code(*args, **kwargs)
            single = isinstance(result, torch.Tensor) and result.dtype == torch.float32
            return result.bfloat16().float() if single else result

        return call

    return compile
