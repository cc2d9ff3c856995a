"""Targets: where a case is run. A target is a device, a dtype and an implementation path."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tests.harness.border import to_numpy
from tests.harness.formats import FORMATS


@dataclass(frozen=True)
class Target:
    """One column and section of the verdict matrix."""

    device: str
    dtype: str
    path: str

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    @property
    def device_type(self) -> str:
        return self.device.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.device} {self.dtype} {self.path}"


@dataclass(frozen=True)
class Targets:
    """What the run was asked to verify."""

    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = tuple(FORMATS)

    def by_dtype(self, *paths: str) -> Iterator[tuple[str, list[Target]]]:
        """The targets of each dtype together: they share the reference's evaluation."""
        for dtype in self.dtypes:
            yield dtype, [Target(d, dtype, path) for d in self.devices for path in paths]


def missing_device(device: str) -> str | None:
    """What is wrong with a device that was asked for, in one line; None where it works."""
    try:
        to_numpy(torch.zeros(1, device=device).add(1))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return str(error).strip().splitlines()[0]
    return None
