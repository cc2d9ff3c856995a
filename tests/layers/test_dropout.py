"""Dropout: values and gradients given the mask that torch drew, and whether it draws at random."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction as Exact
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.dropout import dropout, dropout_backward
from tests.harness.doors import DOORS, gradients
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Targets
from tests.harness.verdict import check

Dropout = Callable[..., torch.Tensor]

LAYERS: dict[str, tuple[Dropout, Callable[..., torch.nn.Module], tuple[int, int]]] = {
    "dropout": (F.dropout, torch.nn.Dropout, (0, 5)),
    "dropout1d": (F.dropout1d, torch.nn.Dropout1d, (2, 3)),
    "dropout2d": (F.dropout2d, torch.nn.Dropout2d, (4, 4)),
    "dropout3d": (F.dropout3d, torch.nn.Dropout3d, (4, 5)),
}
"""Function, module, and the least and the most dimensions; with the least of two, no batch."""

probabilities = st.sampled_from((0.5, 0.25, 0.0, 1.0, 0.1)) | st.floats(0, 0.999)
seeds = st.integers(0, 2**63 - 1)


@dataclass(frozen=True)
class DropoutCase:
    """A layer, its input, the gradient that comes back, and where torch's generator begins."""

    name: str
    input: DrawnArray
    grad_output: DrawnArray
    p: float
    training: bool
    inplace: bool
    seed: int


@st.composite
def dropout_cases(draw: st.DrawFn) -> DropoutCase:
    name = draw(st.sampled_from(tuple(LAYERS)))
    shape = draw(shapes(*LAYERS[name][2]))
    family = draw(families)
    return DropoutCase(
        name=name,
        input=draw(arrays(shape, family)),
        grad_output=draw(arrays(shape, family)),
        p=draw(probabilities),
        training=draw(st.integers(0, 7)) < 7,
        inplace=draw(st.booleans()),
        seed=draw(seeds),
    )


def begin(seed: int, input: torch.Tensor) -> None:
    """Set the generator that the input's device draws from."""
    if input.device.type == "cpu":
        # torch.manual_seed also notes the seed, with its stack, for devices not yet in use.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def channels_of(name: str, mask: np.ndarray) -> np.ndarray:
    """The mask with its positions in a channel reduced to one, which stands for all of them."""
    if name == "dropout":
        return mask
    batched = mask.ndim == LAYERS[name][2][1]
    one = (slice(None),) * (1 + batched) + (slice(0, 1),) * (mask.ndim - 1 - batched)
    return mask[one]


@pytest.fixture(autouse=True)
def generators_restored() -> Any:
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


@given(case=dropout_cases())
def test_dropout_and_its_gradient_equal_the_reference_given_the_mask(
    targets: Targets, case: DropoutCase
) -> None:
    function, layer, _ = LAYERS[case.name]
    for dtype, paths in targets.by_dtype(*DOORS):
        rounding = Rounding.op_by_op(dtype)  # the mask is divided, and stored, before it multiplies
        x, g = (rounding.array(a.numbers(dtype)) for a in (case.input, case.grad_output))
        for target in paths:

            def drop(input: torch.Tensor) -> torch.Tensor:
                begin(case.seed, input)
                given = input.clone() if case.inplace else input
                return function(given, case.p, case.training, case.inplace)

            through = partial(
                gradients,
                target,
                drop,
                grad_output=case.grad_output.tensor(target),
                module=lambda: Seeded(case.seed, layer(case.p).train(case.training)),
            )
            input = case.input.tensor(target)
            y, grads = through({"input": input})
            output, grad_input = x, g
            if case.training and case.p > 0:
                ones, _ = through({"input": torch.ones_like(input)})
                mask = channels_of(case.name, ones.detach().ne(0).double().cpu().numpy())
                mask = mask if case.p < 1 else np.zeros(mask.shape)
                output, grad_input = (
                    rounding.stored(f(z, rounding.array(mask), case.p))
                    for f, z in ((dropout, x), (dropout_backward, g))
                )
            check(case.name, "output", target, y, output)
            check(case.name, "grad_input", target, grads["input"], grad_input)


class Seeded(torch.nn.Module):
    """A module, called where torch's generator begins at the seed."""

    def __init__(self, seed: int, module: torch.nn.Module) -> None:
        super().__init__()
        self.seed, self.module = seed, module

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        begin(self.seed, input)
        return self.module(input)


# A statistic of masks drawn as they should be leaves its interval with a probability below this.
# A run looks at fewer than a million of them (3000 examples in the profile `thorough`, four
# dtypes, four statistics, on each device), so it raises a false alarm with less than 1e-9.
FALSE_ALARM = Exact(1, 10**15)


@lru_cache
def interval(count: int, probability: Exact) -> tuple[int, int]:
    """What Binomial(count, probability) falls below, or above, with FALSE_ALARM / 2 at most.

    The tails are summed exactly: P(K <= k) = sum_j C(n, j) a^j b^(n - j) / (a + b)^n in integers.
    """

    def lower(p: Exact) -> int:
        a, total = p.numerator, p.denominator
        allowed = FALSE_ALARM / 2 * total**count
        term, tail, k = (total - a) ** count, 0, 0
        while tail + term <= allowed:
            tail += term
            term = term * (count - k) * a // ((k + 1) * (total - a))  # exact: the next term
            k += 1
        return k

    return lower(probability), count - lower(1 - probability)


@given(
    name=st.sampled_from(tuple(LAYERS)),
    p=st.sampled_from((Exact(1, 2), Exact(1, 4), Exact(7, 8))),
    seed=seeds,
)
def test_masks_have_their_rate_and_are_independent(
    targets: Targets, name: str, p: Exact, seed: int
) -> None:
    positions = (1,) * (LAYERS[name][2][1] - 2) if name != "dropout" else ()
    for dtype, paths in targets.by_dtype("functional"):
        for target in paths:
            ones = torch.ones(48, 48, *positions, dtype=getattr(torch, dtype), device=target.device)
            begin(seed, ones)
            kept, again = (
                LAYERS[name][0](ones, float(p)).ne(0).reshape(48, 48).cpu().numpy() for _ in "12"
            )
            # Of two independent draws, each kept with q = 1 - p, are alike q^2 + p^2; and so are
            # disjoint pairs, which are independent of each other, as their number is counted.
            pairs = {
                "neighbours": kept[:, ::2] == kept[:, 1::2],
                "rows": kept[::2] == kept[1::2],
                "calls": kept == again,
            }
            expected = {"kept": (kept, 1 - p)}
            expected |= {what: (alike, p**2 + (1 - p) ** 2) for what, alike in pairs.items()}
            for what, (outcomes, probability) in expected.items():
                least, most = interval(outcomes.size, probability)
                count = int(outcomes.sum())
                assert least <= count <= most, (
                    f"{name}: {what} on {target}: {count} of {outcomes.size}, where a chance of"
                    f" {float(probability)} gives {least} to {most}"
                )


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(name: str, p: float) -> None:
    function, layer, (dims, _) = LAYERS[name]
    with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
        layer(p)
    with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
        function(torch.ones((2,) * dims), p)
