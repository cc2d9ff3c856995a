"""`--device meta`: what torch knows of a result before it computes it.

Tensors of the device `meta` have a dtype, a shape and strides, and no data. Each case runs on the
CPU first; what came out there is what `meta` must foretell. Numbers are not compared, and a test
that looks at them is skipped, with that as its reason.
"""

from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
import torch

from tests.harness.examples import surround

Key = tuple[str, ...]
FREE = ("vjp", "vmap", "jvp", "forward_ad", "double backward")
"""Paths that hand over results as kernels leave them, for whose strides torch promises nothing:
here those of `meta` and of the CPU often differ. What lands in `.grad` lies as its tensor does."""
WARNINGS = (
    "ignore:aten.*an autograd kernel was not registered:UserWarning",  # of vmap over its kernels
)
NOTE = "numbers on meta, which has none: dtypes, shapes and strides are those of the CPU's results"


class Layouts:
    """The strides of the CPU's results in an example, until those of `meta` are held against."""

    def __init__(self) -> None:
        self.wanted = False
        self.of_cpu: dict[Key, deque[tuple[int, ...]]] = {}

    def begin(self) -> None:
        self.of_cpu.clear()

    def keep(self, key: Key, result: torch.Tensor) -> None:
        if self.wanted:
            self.of_cpu.setdefault(key, deque()).append(strides(result))

    def compare(self, key: Key, result: torch.Tensor) -> str:
        """What is wrong; empty where nothing is."""
        if not self.of_cpu.get(key):
            return "has no counterpart on the CPU"
        of_cpu, of_meta = self.of_cpu[key].popleft(), strides(result)
        if key[-1] in FREE:
            return ""
        return "" if of_cpu == of_meta else f"has strides {of_meta}, and {of_cpu} on the CPU"


LAYOUTS = Layouts()


def strides(tensor: torch.Tensor) -> tuple[int, ...]:
    """Of the dimensions that have any."""
    if tensor.numel() == 0:
        return ()
    return tuple(s for s, n in zip(tensor.stride(), tensor.shape, strict=True) if n > 1)


def skipped_where_it_looks_at_data(test: Callable[..., Any]) -> Callable[..., Any]:
    """An example of a property, or a test that draws nothing."""

    @wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        LAYOUTS.begin()
        try:
            return test(*args, **kwargs)
        except RuntimeError as error:
            line = next(iter(str(error).splitlines()), "")
            if "meta" in line.lower():
                pytest.skip(f"not without data: {line}")
            raise

    return example


def wrap(items: list[pytest.Item]) -> None:
    surround(items, skipped_where_it_looks_at_data)
    for item in items:
        if isinstance(item, pytest.Function) and not hasattr(item.obj, "hypothesis"):
            item.obj = skipped_where_it_looks_at_data(item.obj)


def prepared(config: pytest.Config, devices: tuple[str, ...]) -> tuple[str, ...]:
    """The devices of a run, the CPU before `meta`, which is held against it."""
    LAYOUTS.wanted = "meta" in devices
    if not LAYOUTS.wanted:
        return devices
    for line in WARNINGS:
        config.addinivalue_line("filterwarnings", line)
    return ("cpu", *(device for device in devices if device != "cpu"))
