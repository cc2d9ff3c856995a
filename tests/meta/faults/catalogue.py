"""The faults: what somebody could get wrong in a kernel or an optimizer, in a few lines each.

A fault is put in at torch's public entry points, while a run lasts, so that what is tested is what
the suite sees of torch. Its story says what went wrong; a number in it is that of the issue or pull
request of torch in which it, or its like, was real. Its witness is a call that it changes: proof
that it is there, whether the suite finds it or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch

Function = Callable[..., torch.Tensor]
Witness = Callable[[], Any]

KINDS = {
    "formula": "computes something else, always",
    "option": "mistakes or ignores an option",
    "corner": "wrong for some sizes, layouts, dtypes, paths or values only",
    "precision": "loses digits",
    "aliasing": "writes to memory that is not its own, or shares what it must not",
    "state": "forgets, repeats or mixes up what it keeps from call to call",
    "autograd": "right in value, wrong in what is recorded or walked back",
    "registration": "modules lose track of their members, hooks or names",
}


class Place(NamedTuple):
    """Where faults of a component are put, and an ordinary call of it."""

    owner: Any
    name: str
    witness: Witness


@dataclass(frozen=True)
class Fault:
    """One fault, where it is put, and how it is found."""

    name: str
    component: str
    kind: str
    story: str
    inject: Callable[[pytest.MonkeyPatch], None]
    witness: Witness | None  # where it shows, if not in the ordinary call
    found: str  # a regular expression that the failure matches
    elements: int  # the arrays of the shrunk example are no larger
    dtype: str  # float32|float64: of both
    required: bool  # runs whenever the suite itself is tested

    @property
    def dtypes(self) -> list[str]:
        """As pytest's options."""
        return [f"--dtype={dtype}" for dtype in self.dtype.split("|")]


PLACES: dict[str, Place] = {}
FAULTS: dict[str, Fault] = {}


def fault(
    component: str,
    kind: str,
    output: str = "",
    witness: Witness | None = None,
    elements: int = 4,
    dtype: str = "float32",
    required: bool = False,
    message: str = "{component}: {output} on cpu ({dtype}) ",
) -> Callable[[Callable[[Function], Function]], Callable[[Function], Function]]:
    """Enter a function that makes the faulty entry point of the sound one; its docstring tells."""

    def enter(spoil: Callable[[Function], Function]) -> Callable[[Function], Function]:
        def inject(patch: pytest.MonkeyPatch) -> None:
            owner, name, _ = PLACES[component]
            patch.setattr(owner, name, spoil(getattr(owner, name)))

        name = f"{component}-{spoil.__name__}".replace("_", "-").replace(" ", "-")
        story = (spoil.__doc__ or "").strip()
        pattern = message.format(component=component, output=output, dtype=dtype)
        assert name not in FAULTS
        assert kind in KINDS
        rest = (inject, witness, pattern, elements, dtype, required)
        FAULTS[name] = Fault(name, component, kind, story, *rest)
        return spoil

    return enter
