"""Dropout: values and gradients, given the mask that torch drew."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given

from reference.dropout import dropout, dropout_backward
from tests.harness.border import to_numpy
from tests.harness.doors import SideDoor, gradients, side_doors, through
from tests.harness.rounding import Rounding
from tests.harness.strategies.layouts import LAYOUTS
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, deviates
from tests.layers.dropout_cases import LAYERS, DropoutCase, begin, channels_of, dropout_cases


@given(case=dropout_cases(), door=side_doors)
def test_dropout_and_its_gradient_equal_the_reference_given_the_mask(
    targets: Targets, case: DropoutCase, door: SideDoor
) -> None:
    for dtype, paths in through(targets, door):
        verify(case, dtype, paths)


def verify(case: DropoutCase, dtype: str, paths: list[Target]) -> None:
    """Given the mask that each target drew, which ones in place of the input show."""
    function, layer, _ = LAYERS[case.name]

    def drop(input: torch.Tensor) -> torch.Tensor:
        given = input.clone() if case.inplace else input
        return function(given, case.p, case.training, case.inplace)

    rounding = Rounding.op_by_op(dtype)  # the mask is divided, and stored, before it multiplies
    x, g = (rounding.array(a.numbers(dtype)) for a in (case.input, case.grad_output))
    for target in paths:
        ask = partial(
            gradients,
            target,
            drop,
            grad_output=case.grad_output.tensor(target),
            module=lambda: layer(case.p).train(case.training),
        )
        input = case.input.tensor(target)
        begin(case.seed, input)
        y, grads = ask({"input": input})
        output, grad_input = x, g
        if case.training and case.p > 0:
            begin(case.seed, input)
            # In the same layout, by which CUDA hands out its random numbers.
            ones, _ = ask({"input": LAYOUTS[case.input.layout](torch.ones_like(input))})
            kept = to_numpy(ones.detach().ne(0))
            mask = channels_of(case.name, kept)
            if (kept != mask).any():
                axis = 1 + (mask.ndim == LAYERS[case.name][2][1])
                right = f"(got.flatten({axis}) == got.flatten({axis})[..., :1]).all()"
                what = "drops positions, not whole channels"
                deviates(case.name, "output", target, what, ones, right)
            mask = mask if case.p < 1 else np.zeros(mask.shape)
            output, grad_input = (
                rounding.stored(f(z, rounding.array(mask), case.p))
                for f, z in ((dropout, x), (dropout_backward, g))
            )
        check(case.name, "output", target, y, output)
        check(case.name, "grad_input", target, grads["input"], grad_input)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("p", [0.0, 1.0])
def test_where_nothing_is_left_to_chance(targets: Targets, name: str, p: float) -> None:
    function, layer, (dims, _) = LAYERS[name]
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            x = torch.ones((2,) * dims, dtype=target.torch_dtype, device=target.device)
            for call in (lambda x: function(x, p), layer(p)):
                got, expected = call(x), (1 - p) * x
                if not torch.equal(got, expected):
                    what = f"with p = {p} is {got}"
                    deviates(name, "output", target, what, (got, expected), "torch.equal(*got)")


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(name: str, p: float) -> None:
    function, layer, (dims, _) = LAYERS[name]
    with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
        layer(p)
    with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
        function(torch.ones((2,) * dims), p)
