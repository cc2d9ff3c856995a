"""What holds of Linear whatever its formula: torch against torch, bit for bit on whole numbers.

Where all partial sums are whole numbers that the dtype holds, no operation rounds, in any order.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.doors import gradients
from tests.harness.formats import FORMATS
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.shapes import sides
from tests.harness.targets import Target, Targets
from tests.harness.verdict import deviates


@dataclass(frozen=True)
class SymmetryCase:
    """A layer, two batches of its inputs and of gradients, another order and a cut of the rows."""

    inputs: tuple[DrawnArray, DrawnArray]
    weight: DrawnArray
    bias: DrawnArray
    grad_output: DrawnArray
    order: tuple[int, ...]
    cut: int


@st.composite
def symmetry_cases(draw: st.DrawFn) -> SymmetryCase:
    rows, inside, out = (draw(sides(at_least=1, at_most=33)) for _ in range(3))

    def whole(*shape: int) -> DrawnArray:
        return draw(arrays(shape, "integers", special=0))

    return SymmetryCase(
        inputs=(whole(rows, inside), whole(rows, inside)),
        weight=whole(out, inside),
        bias=whole(out),
        grad_output=whole(rows, out),
        order=tuple(draw(st.permutations(range(rows)))),
        cut=draw(st.integers(0, rows)),
    )


def is_exact(case: SymmetryCase, dtype: str) -> bool:
    """Whether the dtype holds all sums: of numbers up to 8, inputs up to 16 where two are added."""
    (rows, inside), (out,) = case.inputs[0].shape, case.bias.shape
    return 16 * 8 * max(rows, inside, out) + 8 <= 2 ** FORMATS[dtype].precision


Results = dict[str, torch.Tensor]


def results(target: Target, x: torch.Tensor, w: Any, b: Any, g: torch.Tensor) -> Results:
    """Output and gradients."""
    inputs = {"input": x, "weight": w, "bias": b}
    output, grads = gradients(target, F.linear, inputs, g)
    assert all(grad is not None for grad in grads.values())
    return {"output": output.detach(), **{n: grad for n, grad in grads.items() if grad is not None}}


@settings(max_examples=settings().max_examples // 2)  # beside the reference, half will do
@given(case=symmetry_cases())
def test_rows_are_independent_gradients_add_up_and_the_backward_is_the_adjoint(
    targets: Targets, case: SymmetryCase
) -> None:
    for dtype, paths in targets.by_dtype("functional"):
        for target in paths if is_exact(case, dtype) else ():
            x, other, w, b, g = (
                array.tensor(target)
                for array in (*case.inputs, case.weight, case.bias, case.grad_output)
            )
            whole = results(target, x, w, b, g)

            order = list(case.order)
            mixed = results(target, x[order], w, b, g[order])
            parts = [
                results(target, x[rows], w, b, g[rows])
                for rows in (slice(case.cut), slice(case.cut, None))
            ]
            both = results(target, x + other, w, b, g)["output"]
            by_other = F.linear(other, w)
            claims = {
                "of permuted rows": (mixed["output"], whole["output"][order]),
                "of two inputs added": (both, whole["output"] + by_other),
                "grad_input of permuted rows": (mixed["input"], whole["input"][order]),
                **{
                    f"grad_{name} {what}": (got, whole[name])
                    for name in ("weight", "bias")
                    for what, got in (
                        ("of permuted rows", mixed[name]),
                        ("of two parts of the batch", parts[0][name] + parts[1][name]),
                    )
                },
                # <g, x W^T> = <g W, x> = <g^T x, W>
                "grad_input as the adjoint": inner(g, whole["output"] - b, whole["input"], x),
                "grad_weight as the adjoint": inner(g, whole["output"] - b, whole["weight"], w),
            }
            for what, (got, expected) in claims.items():
                if not torch.equal(got, expected):
                    said = f"is {got}, expected {expected}"
                    deviates("linear", what, target, said, (got, expected), "torch.equal(*got)")


def inner(*x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two inner products, the second of which should equal the first; in float64, exactly."""
    a, b, c, d = (t.double() for t in x)
    return (c * d).sum(), (a * b).sum()
