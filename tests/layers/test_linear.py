"""Linear: output and gradients, for inputs of one to five dimensions in every layout."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear, linear_backward
from tests.harness.doors import Gradients, SideDoor, gradients, side_doors, through
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import shapes, sides
from tests.harness.strategies.values import families
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check


@dataclass(frozen=True)
class LinearCase:
    """A layer, its input, and the gradient that comes back to its output."""

    input: DrawnArray
    weight: DrawnArray
    bias: DrawnArray | None
    grad_output: DrawnArray
    frozen: frozenset[str]  # inputs that ask for no gradient
    vector: bool  # the weight is the one row of its matrix, the output has no last dimension


@st.composite
def linear_cases(draw: st.DrawFn) -> LinearCase:
    batch = draw(shapes(max_dims=4, max_elements=257))
    rows = max(1, math.prod(batch))
    corner = draw(st.integers(0, 15))
    vector = corner == 15
    in_features = 0 if corner == 14 else draw(sides(at_most=8192 // rows))
    out_features = 1 if vector else draw(sides(at_most=8192 // max(rows, in_features)))
    out_features = 0 if corner == 13 else out_features
    with_bias = draw(st.integers(0, 3)) > 0 and not vector
    freezes = draw(st.booleans())
    family = draw(families)
    return LinearCase(
        input=draw(arrays((*batch, in_features), family)),
        weight=draw(arrays((out_features, in_features), family)),
        bias=draw(arrays((out_features,), family)) if with_bias else None,
        grad_output=draw(arrays((*batch, out_features), family)),
        frozen=draw(st.sampled_from(SOME)) if freezes else frozenset(),
        vector=vector,
    )


NAMES = ("input", "weight", "bias")
SOME = [frozenset(names) for n in (1, 2, 3) for names in combinations(NAMES, n)]


@given(case=linear_cases(), door=side_doors)
def test_linear_and_its_gradients_equal_the_reference(
    targets: Targets, case: LinearCase, door: SideDoor
) -> None:
    for dtype, paths in through(targets, door):
        verify(case, dtype, paths)


def verify(case: LinearCase, dtype: str, targets: list[Target]) -> None:
    # A matrix is one kernel; other inputs may be a product, stored, and a bias added to it.
    # Processors that multiply bfloat16 matrices (AVX512_BF16, AMX) flush subnormal numbers.
    batched = any(target.path == "vmap" for target in targets)
    one_kernel = len(case.input.shape) == 2 and not batched
    kind = Rounding.kernel if one_kernel else Rounding.op_by_op
    rounding = kind(dtype, flushes=dtype == "bfloat16")
    # Devices that multiply matrices alike share an evaluation.
    roundings = {target.device: rounding.on(target.device) for target in targets}
    expected = {r: reference(case, dtype, r) for r in set(roundings.values())}
    for target in targets:
        want = expected[roundings[target.device]]
        y, grads = called(case, target)
        check("linear", "output", target, y, want["output"])
        for name, grad in grads.items():
            check("linear", f"grad_{name}", target, grad, want[name])


def called(case: LinearCase, target: Target) -> tuple[torch.Tensor, Gradients]:
    """The output and the gradients that torch gives."""
    out_features, in_features = case.weight.shape
    drawn = {"input": case.input, "weight": case.weight, "bias": case.bias}
    inputs = {name: array.tensor(target) for name, array in drawn.items() if array}
    back = case.grad_output.tensor(target)
    if case.vector:
        inputs["weight"], back = inputs["weight"][0], back[..., 0]
    return gradients(
        target,
        F.linear,
        inputs,
        back,
        lambda: torch.nn.Linear(in_features, out_features, case.bias is not None),
        case.frozen,
    )


def reference(case: LinearCase, dtype: str, rounding: Rounding) -> dict[str, Rounded]:
    """The output, and the gradients by the names of the inputs."""
    input, weight, grad_output = (
        rounding.array(array.numbers(dtype))
        for array in (case.input, case.weight, case.grad_output)
    )
    bias = rounding.array(case.bias.numbers(dtype)) if case.bias else None
    backward = linear_backward(grad_output, input, weight)
    results = dict(zip(NAMES, backward, strict=True)) | {"output": linear(input, weight, bias)}
    stored = {name: rounding.stored(x) for name, x in results.items()}
    if case.vector:
        stored["output"], stored["weight"] = stored["output"][..., 0], stored["weight"][0]
    return stored


UNFIT = {
    "in_features differ": ((2, 3), (4, 2), (4,)),
    "in_features differ, no rows": ((0, 3), (4, 2), None),
    "no in_features for one": ((2, 0), (4, 1), None),
    "one in_feature for several": ((2, 1), (4, 3), None),
    "no dimension": ((), (4, 1), None),
    "a stack of weights": ((2, 3), (2, 4, 3), None),
    "bias of the inputs": ((2, 3), (4, 3), (3,)),
    "bias of the inputs, a vector": ((3,), (4, 3), (3,)),
    "bias of several rows, a vector": ((3,), (4, 3), (2, 4)),
    "bias of the inputs, more dimensions": ((5, 2, 3), (4, 3), (3,)),
}


def ones(target: Target, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    return [torch.ones(s, dtype=target.torch_dtype, device=target.device) for s in shapes]


@pytest.mark.parametrize("unfit", UNFIT)
def test_shapes_that_do_not_fit_are_refused(targets: Targets, unfit: str) -> None:
    shapes = [shape for shape in UNFIT[unfit] if shape is not None]
    with pytest.raises(ValueError, match=r"^(input|bias) \(.*\) must be .* where weight \(.*\) is"):
        linear(*map(np.ones, shapes))
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            if target.device == "meta" and unfit == "bias of several rows, a vector":
                continue  # which meta overlooks
            with pytest.raises(RuntimeError, match=r"shape|size|dimensions|1D|reduction dim"):
                F.linear(*ones(target, *shapes))


@pytest.mark.parametrize("odd", [0, 1, 2], ids=NAMES)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (5, 2, 3)], ids=str)
def test_dtypes_are_not_mixed(targets: Targets, shape: tuple[int, ...], odd: int) -> None:
    for dtype, paths in targets.by_dtype("functional"):
        for target in paths:
            if target.device == "meta":
                continue  # which overlooks it
            tensors = ones(target, shape, (4, 3), (4,))
            tensors[odd] = tensors[odd].to(torch.float64 if dtype == "float32" else torch.float32)
            with pytest.raises(RuntimeError, match="must have the same dtype"):
                F.linear(*tensors)


@pytest.mark.xfail(
    raises=RuntimeError,
    strict=True,
    reason="documented, and refused: github.com/pytorch/pytorch/issues/188891",
)
def test_a_vector_of_weights_takes_a_bias() -> None:
    weight, bias = torch.tensor([3.0, 4.0]), torch.tensor(5.0)
    assert F.linear(torch.tensor([[1.0, 2.0]]), weight, bias).tolist() == [16.0]
