"""Faults of uniform_, normal_ and trunc_normal_: numbers from another distribution."""

from typing import Any

import torch
from torch.nn import init

from tests.meta.faults.catalogue import PLACES, Function, Place, fault

Tensor = torch.Tensor


def drawn_twice() -> Any:
    """Numbers of a generator, and its next ones."""
    generator = torch.Generator().manual_seed(1)
    return [init.normal_(torch.empty(4), generator=generator) for _ in range(2)]


PLACES |= {
    "uniform": Place(init, "uniform_", lambda: init.uniform_(torch.empty(8), -1.0, 3.0, None)),
    "normal": Place(init, "normal_", lambda: init.normal_(torch.empty(8), 1.0, 2.0)),
    "trunc_normal": Place(
        init, "trunc_normal_", lambda: init.trunc_normal_(torch.empty(8), 0.0, 1.0, -1.0, 1.0, None)
    ),
}


@fault("uniform", "formula", "numbers", elements=4096)
def short_of_the_end(sound: Function) -> Function:
    """Only 90 % of the range is filled."""
    return lambda tensor, a, b, g=None: sound(tensor, a, a + 0.9 * (b - a), g)


@fault(
    "uniform",
    "corner",
    "numbers",
    witness=lambda: init.uniform_(torch.empty(4096), 0.0, 1.0, None),
    elements=4096,
)
def end_included(sound: Function) -> Function:
    """A corner: one number in a thousand is the end of the range, which is not part of it."""

    def uniform(tensor: Tensor, a: float, b: float, g: Any = None) -> Tensor:
        sound(tensor, a, b, g)
        share = torch.empty_like(tensor).uniform_(generator=g)
        tensor[share < 1e-3] = b
        return tensor

    return uniform


@fault("normal", "formula", "numbers", elements=4096)
def variance_taken_for_the_spread(sound: Function) -> Function:
    """The square of std is its place."""
    return lambda tensor, mean=0.0, std=1.0, generator=None: sound(tensor, mean, std**2, generator)


@fault("normal", "corner", "numbers", witness=lambda: init.normal_(torch.empty(512)), elements=4096)
def strays_twelve_std_away(sound: Function) -> Function:
    """A corner of the tails: one number in a hundred is further out than chance allows."""

    def normal(
        tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None
    ) -> Tensor:
        sound(tensor, mean, std, generator)
        share = torch.empty_like(tensor).uniform_(generator=generator)
        tensor[share > 0.99] = mean + 12 * std
        return tensor

    return normal


@fault(
    "normal",
    "precision",
    "scaled and shifted",
    witness=lambda: init.normal_(torch.empty(8, dtype=torch.float64), 0.0, 0.1),
    elements=4096,
    dtype="float64",
)
def spread_of_single_precision(sound: Function) -> Function:
    """A corner of float64: the spread is rounded to float32."""

    def normal(
        tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None
    ) -> Tensor:
        return sound(tensor, mean, torch.tensor(std, dtype=torch.float32).item(), generator)

    return normal


@fault("trunc_normal", "formula", "numbers", elements=4096)
def cut_off_at_the_ends(sound: Function) -> Function:
    """What is beyond the ends is put on them, and not drawn again."""

    def truncated(tensor: Tensor, mean: float, std: float, a: float, b: float, g: Any) -> Tensor:
        return tensor.normal_(mean, std, generator=g).clamp_(a, b)

    return truncated


@fault(
    "trunc_normal",
    "corner",
    "numbers",
    witness=lambda: init.trunc_normal_(torch.empty(8), 0.0, 1.0, 2.0, 3.0, None),
    elements=4096,
)
def tails_flattened(sound: Function) -> Function:
    """A corner of the tails: between ends on one side of the mean, numbers are spread evenly."""

    def truncated(tensor: Tensor, mean: float, std: float, a: float, b: float, g: Any) -> Tensor:
        if a <= mean <= b:
            return sound(tensor, mean, std, a, b, g)
        return tensor.uniform_(a, b, generator=g)

    return truncated


@fault(
    "normal",
    "state",
    witness=drawn_twice,
    message="calls alike",
)
def restarted_at_each_call(sound: Function) -> Function:
    """A generator that is given is used, and left where it was (like #91944)."""

    def normal(
        tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None
    ) -> Tensor:
        before = generator.get_state() if generator else None
        sound(tensor, mean, std, generator)
        if generator:
            generator.set_state(before)
        return tensor

    return normal


@fault(
    "uniform",
    "state",
    witness=lambda: [
        init.uniform_(torch.empty(4), 0.0, 1.0, torch.Generator().manual_seed(1)) for _ in range(2)
    ],
)
def generator_ignored(sound: Function) -> Function:
    """Numbers are drawn from torch's own generator, whichever was given."""
    return lambda tensor, a=0.0, b=1.0, generator=None: sound(tensor, a, b)


@fault(
    "normal",
    "precision",
    "(numbers|scaled and shifted)",
    witness=lambda: init.normal_(torch.empty(8, dtype=torch.float64)),
    elements=4096,
    dtype="float64",
)
def numbers_of_float32(sound: Function) -> Function:
    """float64 numbers have the digits of float32."""

    def normal(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        sound(tensor, *args, **options)
        return tensor.copy_(tensor.float()) if tensor.dtype == torch.float64 else tensor

    return normal
