"""The implementation paths of torch's optimizers, and where each of them rounds.

    path            half types are stored   Python numbers meet        1 - beta^t is
                    after                   arrays as
    for-loop        every operation         floats, some rounded to    a float
                                            the half type first
    foreach         every operation         the same                   a float
    fused           the whole step          float32                    a float
    differentiable  every operation         the same                   a float32 tensor
    capturable      every operation         the same                   a float32 tensor

In float32 and float64 every path computes and stores in that format, so that the paths differ in
the order of their operations alone; the bound admits all orders. Only the last two paths lose
digits of float64: there `step` is a float32 tensor, and the correction 1 - beta^t loses to
cancellation what float32 loses. They also divide eps by the step size on its own, which overflows
in float16 where the step is small; so half types are not verified there.
`tests/meta/test_optimizer_roundings.py` measures that each model is neither wrong nor slack.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tests.harness.rounding import Rounding

HALF = ("bfloat16", "float16")


@dataclass(frozen=True)
class Path:
    """One way through an optimizer's code: the flags that choose it, and how it rounds."""

    flags: dict[str, bool]
    stores_once: bool = False
    counts_in_tensors: bool = False

    def rounding(self, dtype: str) -> Rounding:
        return Rounding.kernel(dtype) if self.stores_once else Rounding.op_by_op(dtype)

    def step_number(self, step: int) -> Any:
        """The exponent of beta^t, which makes the correction a float or a float32 tensor."""
        return (
            Rounding.kernel("float32").array(np.asarray(step)) if self.counts_in_tensors else step
        )

    def takes(self, dtype: str) -> bool:
        return not (self.counts_in_tensors and dtype in HALF)


PATHS = {
    "for-loop": Path({"foreach": False, "fused": False}),
    "foreach": Path({"foreach": True, "fused": False}),
    "fused": Path({"foreach": False, "fused": True}, stores_once=True),
    "differentiable": Path({"foreach": False, "differentiable": True}, counts_in_tensors=True),
    "capturable": Path({"foreach": False, "capturable": True}, counts_in_tensors=True),
}


def paths_of(optimizer: type[torch.optim.Optimizer], device: str) -> Iterator[str]:
    """SGD has nothing to capture; elsewhere it takes a device that records graphs."""
    captures = torch.device(device).type in {"cuda", "xpu"}
    for name in PATHS:
        if name != "capturable" or (captures and optimizer is not torch.optim.SGD):
            yield name
