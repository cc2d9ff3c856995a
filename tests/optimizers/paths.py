"""The implementation paths of torch's optimizers, and where each of them rounds.

    path            half types are  Python numbers meet      1 - beta^t      decoupled decay
                    stored after    arrays as                is a
    for-loop        each operation  floats, or rounded to    float           p * (1 - lr lambda)
                                    the half type first
    foreach         each operation  the same                 float           p * (1 - lr lambda)
    fused, CPU      the whole step  float32                  float           p - lr lambda p
    fused, others   the whole step  float32, and beta first  number          p - lr lambda p
    differentiable  each operation  as in for-loop           float32 tensor  p * (1 - lr lambda)
    capturable      each operation  as in for-loop           float32 tensor  p * (1 - lr lambda)
    compiled        each operation  as in for-loop           float32 tensor  p * (1 - lr lambda)

In float32 and float64 every path computes and stores in that format, so that the paths differ in
the order of their operations alone. Only the last three lose digits of float64: there `step` is a
float32 tensor, and 1 - beta^t loses by cancellation what float32 loses. They multiply the step
size onto the root and divide eps by it, one more rounding in float32 for each, and an overflow in
float16 where the step is small: so half types are not verified there. The capturable path needs a
device that records graphs: on CUDA it has not been run yet.

Fused kernels of CUDA round beta and dampening to float32 before they take them off 1, and compute
1 - beta^t in float32, too (github.com/pytorch/pytorch/pull/154069): with beta2 = 0.999 this loses a
thousand times as much as on the CPU, which has float64 for it. And powers of CUDA's may be 4 ulp
off. They square the gradient first, as compiled steps do, too: where the square overflows, its
average may be anything. The models of other devices admit that, as read in torch's source; nobody
has run them yet.
`tests/meta/test_optimizer_paths.py` measures that each model is neither wrong nor slack.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from tests.harness.devices import offered, offers_dtype
from tests.harness.formats import FLOAT32, Format
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.targets import Targets

HALF = ("bfloat16", "float16")


@cache
def counting(fmt: Format, times: float) -> Rounding:
    return Rounding(*3 * (replace(fmt, times=times * fmt.times),))


TENSORS = counting(FLOAT32, times=2.0)
"""Of the step count and the corrections, each rounding doubled for the products above."""
FOUR_ULP = counting(FLOAT32, times=4.0)
"""The same on other devices: for a square, eight unit roundoffs."""


@dataclass(frozen=True)
class Model:
    """How a path rounds in one dtype: one evaluation serves all paths that have the same."""

    dtype: str
    rounding: Rounding
    counts: Rounding | None  # of the step count, where that is no float
    decays_apart: bool  # lr lambda p is rounded before it is subtracted
    rounds_options: bool = False  # before they are taken off 1
    squares_first: bool = False  # the gradient, before 1 - beta2 makes it smaller

    def step_number(self, step: int) -> Any:
        """The exponent of beta^t, which makes the correction a float or a tracked number."""
        return self.counts.array(np.asarray(step)) if self.counts else step

    def option(self, number: Any) -> Any:
        """What is taken off 1: a number, or what is tracked already."""
        if not self.rounds_options or isinstance(number, Rounded):
            return number
        exact = self.rounding.scalars.holds(np.asarray(number))
        return number if exact else self.rounding.scalar(number)

    def decay(self, weight_decay: float) -> Any:
        return self.rounding.array(np.asarray(weight_decay)) if self.decays_apart else weight_decay


@dataclass(frozen=True)
class Path:
    """One way through an optimizer's code: the flags that choose it, and how it rounds."""

    flags: dict[str, Any]
    stores_once: bool = False
    counts_in_tensors: bool = False
    compiled: bool = False

    def model(self, dtype: str, adam: bool, decoupled: bool, device: str = "cpu") -> Model:
        """Only Adam counts its steps, and only a decoupled decay has a product of its own."""
        rounding = Rounding.kernel(dtype) if self.stores_once else Rounding.op_by_op(dtype)
        counts, elsewhere = None, torch.device(device).type != "cpu"
        if self.counts_in_tensors:
            counts = FOUR_ULP if elsewhere else TENSORS
        elif self.stores_once and elsewhere:
            counts = counting(rounding.compute, times=4.0)
        return Model(
            dtype,
            rounding,
            counts if adam else None,
            self.stores_once and decoupled,
            self.stores_once and elsewhere,
            self.compiled or (self.stores_once and elsewhere),
        )

    def takes(self, dtype: str) -> bool:
        return not (self.counts_in_tensors and dtype in HALF)


PATHS = {
    "for-loop": Path({"foreach": False, "fused": False}),
    "foreach": Path({"foreach": True, "fused": False}),
    "fused": Path({"foreach": False, "fused": True}, stores_once=True),
    "differentiable": Path({"foreach": False, "differentiable": True}, counts_in_tensors=True),
    "capturable": Path({"foreach": False, "capturable": True}, counts_in_tensors=True),
    "compiled": Path({"foreach": False}, counts_in_tensors=True, compiled=True),
    "compiled foreach": Path({"foreach": True}, counts_in_tensors=True, compiled=True),
}


PARTNERS = {"for-loop": "foreach", "foreach": "for-loop", "fused": "foreach"}
"""Where a state saved on a path is loaded; and the next time back on the path where it began."""

OTHER_DTYPE = {
    "float64": "float32",
    "float32": "float64",
    "bfloat16": "float16",
    "float16": "bfloat16",
}


def paths_of(optimizer: type[torch.optim.Optimizer], compiled: bool) -> Iterator[str]:
    """Those whose flags it has: SGD has nothing to capture."""
    known = inspect.signature(optimizer).parameters
    for name, path in PATHS.items():
        if path.compiled == compiled and path.flags.keys() <= known.keys():
            yield name


def dtypes_of(
    optimizer: type[torch.optim.Optimizer], path: str, targets: Targets, device: str
) -> list[str]:
    """Those of the run that are verified on a path, and in which the device can take it."""

    def step(dtype: str) -> None:
        param = torch.ones(1, dtype=getattr(torch, dtype), device=device)
        param.grad = torch.ones_like(param)
        optimizer([param], **PATHS[path].flags).step()

    what = f"{optimizer.__name__} {path}"
    if not offered(device, what, partial(step, "float32")):
        return []
    return [
        dtype
        for dtype in targets.dtypes
        if PATHS[path].takes(dtype)
        and offers_dtype(device, dtype)
        and offered(device, f"{what} in {dtype}", partial(step, dtype))
    ]
