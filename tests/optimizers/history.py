"""Histories of an optimizer: parameters in groups, and a list of what happens to them.

A history is drawn as a value, not lived rule by rule: so one history runs on every path and dtype
against few evaluations of the reference, and shrinks as a list does.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.harness.formats import FORMATS, Format
from tests.harness.strategies.arrays import DrawnArray
from tests.optimizers.events import AddGroup, Event, Step

Options = dict[str, Any]
Piece = tuple[slice, tuple[int, ...]]


@dataclass(frozen=True)
class Parameter:
    """One parameter; a complex one is, to the reference, an array of pairs."""

    shape: tuple[int, ...]
    layout: str = "contiguous"
    grad_layout: str = "contiguous"
    is_complex: bool = False

    @property
    def real_shape(self) -> tuple[int, ...]:
        return (*self.shape, 2) if self.is_complex else self.shape


def moderate(numbers: np.ndarray, fmt: Format) -> np.ndarray:
    """At most an eighth of the largest number.

    Adam's `lerp` takes the difference of its average and the gradient, which else overflows.
    """
    return np.clip(numbers, -fmt.max / 8, fmt.max / 8)


@dataclass(frozen=True, repr=False, eq=False)
class History:
    """All parameters lie in one vector, and so do their gradients at each step.

    An optimizer works on each element by itself, so one evaluation of the reference serves all.
    """

    parameters: tuple[Parameter, ...]
    groups: tuple[tuple[int, Options], ...]  # how many of the parameters, and their options
    start: DrawnArray
    events: tuple[Event, ...]
    mixed: bool = False  # dtypes in one group
    lr_as_tensor: bool = False

    @cached_property
    def pieces(self) -> list[Piece]:
        """Where each parameter lies in the vector, and its shape there."""
        shapes = [parameter.real_shape for parameter in self.parameters]
        ends = np.cumsum([0, *map(math.prod, shapes)])
        return [(slice(*ends), shape) for ends, shape in zip(pairwise(ends), shapes, strict=True)]

    @cached_property
    def group_of(self) -> list[int]:
        return [g for g, (size, _) in enumerate(self.groups) for _ in range(size)]

    @cached_property
    def joins_late(self) -> bool:
        return any(isinstance(event, AddGroup) for event in self.events)

    def starts(self, dtype: str) -> np.ndarray:
        """The parameters before the first step."""
        return moderate(self.start.numbers(dtype), FORMATS[dtype])

    @cached_property
    def made(self) -> dict[tuple[int, str], np.ndarray]:
        """Gradients by the step and the dtype, for all the paths that take them."""
        return {}

    def grads(self, step: Step, dtype: str) -> np.ndarray:
        """The numbers that a dtype makes of a step's gradients, before they are accumulated."""
        key = id(step), dtype
        if key not in self.made:
            self.made[key] = self.make(step, dtype)
        return self.made[key]

    def make(self, step: Step, dtype: str) -> np.ndarray:
        fmt = FORMATS[dtype]
        numbers = moderate(step.grads.numbers(dtype), fmt)
        if step.kind == "zeros":
            numbers[:] = 0
        elif step.kind == "sparse":
            numbers[np.arange(numbers.size) % 3 > 0] = 0
        elif step.kind in {"tiny", "huge"}:
            exponent = fmt.max_exponent // 4
            with np.errstate(over="ignore"):
                scaled = np.ldexp(numbers, exponent if step.kind == "huge" else -exponent)
            numbers = moderate(fmt.round(scaled), fmt)
        for parameter, (where, shape) in zip(self.parameters, self.pieces, strict=True):
            piece = numbers[where].reshape(shape)
            if parameter.grad_layout == "expanded" and parameter.shape and piece.size:
                numbers[where] = np.broadcast_to(piece[:1], shape).ravel()
            elif step.kind in {"nan", "infinite"} and not parameter.is_complex and piece.size:
                numbers[where.start] = np.nan if step.kind == "nan" else np.inf
        return numbers + 0.0 if step.zero_grad == "to zeros" else numbers

    def accumulated(self, step: Step, dtype: str) -> np.ndarray:
        """The gradients that `step` sees, or its clipping by norm: what is done so far is exact."""
        numbers = self.grads(step, dtype) * (2 if step.twice else 1)
        if step.clip is not None:
            for parameter, (where, _) in zip(self.parameters, self.pieces, strict=True):
                if not parameter.is_complex:  # they have no order
                    numbers[where] = np.clip(numbers[where], -step.clip, step.clip)
        return numbers

    def __repr__(self) -> str:
        return f"<{len(self.events)} events from {self.start!r}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        printer.text(repr(self))
