"""Faults of initialisation: numbers from another distribution, or with another parameter."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import init

from tests.meta.faults.catalogue import PLACES, Function, Place, fault

Tensor = torch.Tensor


def inside(fill: Callable[[Tensor], Any]) -> Any:
    """The whole of a matrix whose middle is filled."""
    matrix = torch.full((4, 4), 7.0)
    fill(matrix[1:3, 1:3])
    return matrix


def reset(module: Any) -> Any:
    """All that a module keeps, after it was something else and reset."""
    with torch.no_grad():
        for x in module.state_dict().values():
            x.fill_(7)
    module.reset_parameters()
    return module.state_dict()


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
    "xavier_uniform": Place(
        init, "xavier_uniform_", lambda: init.xavier_uniform_(torch.empty(4, 3))
    ),
    "xavier_normal": Place(init, "xavier_normal_", lambda: init.xavier_normal_(torch.empty(4, 3))),
    "kaiming_uniform": Place(
        init, "kaiming_uniform_", lambda: init.kaiming_uniform_(torch.empty(4, 3))
    ),
    "kaiming_normal": Place(
        init, "kaiming_normal_", lambda: init.kaiming_normal_(torch.empty(4, 3))
    ),
    "constant": Place(init, "constant_", lambda: init.constant_(torch.empty(3), 0.1)),
    "eye": Place(init, "eye_", lambda: init.eye_(torch.empty(3, 2))),
    "dirac": Place(init, "dirac_", lambda: init.dirac_(torch.empty(4, 2, 3), 1)),
    "Linear defaults": Place(nn.Linear, "reset_parameters", lambda: nn.Linear(4, 3).state_dict()),
    "BatchNorm defaults": Place(
        nn.BatchNorm2d, "reset_parameters", lambda: nn.BatchNorm2d(3).state_dict()
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
    "kaiming_uniform",
    "option",
    "numbers",
    witness=lambda: init.kaiming_uniform_(torch.empty(4, 2), a=2.0),
    elements=64,
)
def slope_ignored(sound: Function) -> Function:
    """The gain is that of ReLU, whatever the slope."""
    return lambda tensor, a=0.0, **options: sound(tensor, 0.0, **options)


@fault(
    "kaiming_normal",
    "corner",
    "numbers",
    witness=lambda: init.kaiming_normal_(torch.empty(4, 2, 3)),
    elements=64,
)
def positions_forgotten(sound: Function) -> Function:
    """A corner of convolutions: fans count channels, and not the positions of the kernel."""

    def kaiming(tensor: Tensor, **options: Any) -> Tensor:
        positions = math.prod(tensor.shape[2:])
        return sound(tensor, **options).mul_(math.sqrt(positions))

    return kaiming


@fault("xavier_normal", "formula", "numbers", elements=64)
def fans_multiplied(sound: Function) -> Function:
    """The spread is gain / sqrt(fan_in), as if the fans were the same."""

    def xavier(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
        std = gain / math.sqrt(math.prod(tensor.shape[1:]))
        return tensor.normal_(0.0, std, generator=generator)

    return xavier


@fault(
    "xavier_uniform",
    "precision",
    "numbers",
    witness=lambda: init.xavier_uniform_(torch.empty(4, 3, dtype=torch.float64)),
    elements=64,
    dtype="float64",
)
def a_float32_for_a_limit(sound: Function) -> Function:
    """A corner of float64: the limit is rounded to float32."""

    def xavier(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
        fans = sum(tensor.shape[:2]) * math.prod(tensor.shape[2:])
        limit = torch.tensor(gain * math.sqrt(6 / fans), dtype=torch.float32).item()
        return tensor.uniform_(-limit, limit, generator=generator)

    return xavier


@fault(
    "dirac", "corner", "numbers", witness=lambda: init.dirac_(torch.empty(2, 2, 4), 1), elements=64
)
def before_the_middle(sound: Function) -> Function:
    """A corner of kernels with an even side: the position before the middle is taken."""

    def dirac(tensor: Tensor, groups: int) -> Tensor:
        sound(tensor, groups)
        if tensor.shape[2] % 2 == 0:
            tensor.copy_(tensor.roll(-1, 2))
        return tensor

    return dirac


@fault(
    "constant",
    "corner",
    "numbers",
    witness=lambda: init.constant_(torch.zeros(3, 2).T, 0.1),
    elements=64,
)
def copy_filled(sound: Function) -> Function:
    """A tensor that is not contiguous is made so, and the copy filled."""

    def constant(tensor: Tensor, value: float) -> Tensor:
        sound(tensor.contiguous(), value)
        return tensor

    return constant


@fault("eye", "aliasing", "surroundings", witness=lambda: inside(init.eye_))
def gaps_cleared(sound: Function) -> Function:
    """A corner of layouts: all that the tensor is a view into is set to 0 first."""

    def eye(tensor: Tensor) -> Tensor:
        torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage()).zero_()
        return sound(tensor)

    return eye


@fault("Linear defaults", "formula", "bias", elements=2)
def bias_starts_at_0(sound: Function) -> Function:
    """The bias is not drawn."""

    def reset(self: Any) -> Any:
        sound(self)
        if self.bias is not None:
            init.zeros_(self.bias)

    return reset


@fault("Linear defaults", "formula", "weight", elements=2)
def limit_of_the_outputs(sound: Function) -> Function:
    """The weight's limit is 1 / sqrt(out_features)."""

    def reset(self: Any) -> Any:
        init.kaiming_uniform_(self.weight, math.sqrt(5), mode="fan_out")
        if self.bias is not None:
            init.uniform_(
                self.bias, -1 / math.sqrt(self.in_features), 1 / math.sqrt(self.in_features)
            )

    return reset


@fault(
    "BatchNorm defaults",
    "state",
    "running_(mean|var)",
    witness=lambda: reset(torch.nn.BatchNorm2d(3)),
    elements=2,
)
def statistics_kept_on_reset(sound: Function) -> Function:
    """reset_parameters leaves the running statistics as they are."""

    def reset(self: Any) -> Any:
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    return reset


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


@fault(
    "kaiming_normal",
    "option",
    "numbers",
    witness=lambda: init.kaiming_normal_(torch.empty(4, 3), mode="fan_out"),
    elements=64,
)
def mode_ignored(sound: Function) -> Function:
    """The spread is that of the inputs, also where that of the outputs was asked for."""
    return lambda tensor, a=0.0, mode="fan_in", **options: sound(tensor, a, **options)


@fault(
    "xavier_uniform",
    "option",
    "numbers",
    witness=lambda: init.xavier_uniform_(torch.empty(4, 3), 2.0),
    elements=64,
)
def gain_squared(sound: Function) -> Function:
    """The limit is proportional to the square of the gain."""
    return lambda tensor, gain=1.0, **options: sound(tensor, gain**2, **options)


@fault(
    "dirac",
    "option",
    "numbers",
    witness=lambda: init.dirac_(torch.empty(4, 2, 3), 2),
    elements=64,
)
def groups_ignored(sound: Function) -> Function:
    """All channels are one group."""
    return lambda tensor, groups=1: sound(tensor, 1)


@fault("BatchNorm defaults", "formula", "weight", elements=2)
def scale_drawn(sound: Function) -> Function:
    """The scale starts with uniform numbers instead of ones."""

    def reset(self: Any) -> Any:
        sound(self)
        if self.affine:
            init.uniform_(self.weight)

    return reset
