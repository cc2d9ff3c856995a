"""Targets: where a case is run. A target is a device, a dtype and an implementation path."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.harness.devices import offers_dtype
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

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """On one line, which the message leaves out."""
        printer.text(repr(self))

    def by_dtype(self, *paths: str) -> Iterator[tuple[str, list[Target]]]:
        """The targets of each dtype together: they share the reference's evaluation."""
        for dtype in self.dtypes:
            devices = [device for device in self.devices if offers_dtype(device, dtype)]
            yield dtype, [Target(d, dtype, path) for d in devices for path in paths]
