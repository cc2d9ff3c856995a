"""ReLU: which numbers pass, forward and backward, special values included, in place or not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from reference.relu import relu, relu_backward, threshold, threshold_backward
from tests.harness.doors import SideDoor, gradients, side_doors, through
from tests.harness.rounding import Rounding
from tests.harness.strategies.arrays import DrawnArray, arrays
from tests.harness.strategies.layouts import LAYOUTS, everything
from tests.harness.strategies.shapes import shapes
from tests.harness.strategies.values import families
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check, deviates

Function = Callable[..., torch.Tensor]

FORMS: dict[str, tuple[Function, Callable[..., torch.nn.Module]]] = {
    "relu": (F.relu, torch.nn.ReLU),
    "relu in place": (
        partial(F.relu, inplace=True),
        partial(torch.nn.ReLU, inplace=True),
    ),
    "relu_": (F.relu_, partial(torch.nn.ReLU, inplace=True)),
    "threshold": (F.threshold, torch.nn.Threshold),
    "threshold in place": (
        partial(F.threshold, inplace=True),
        partial(torch.nn.Threshold, inplace=True),
    ),
    "threshold_": (torch.threshold_, partial(torch.nn.Threshold, inplace=True)),
}
"""Function and module; a threshold is given two numbers."""

IN_PLACE = tuple(form for form in FORMS if form not in {"relu", "threshold"})


@dataclass(frozen=True)
class ReluCase:
    """An input, the gradient that comes back, and which of torch's functions."""

    input: DrawnArray
    grad_output: DrawnArray
    form: str
    bend: tuple[float, float]  # threshold and value, of the forms of threshold

    @property
    def component(self) -> str:
        return "threshold" if "threshold" in self.form else "relu"

    @property
    def arguments(self) -> tuple[float, ...]:
        return self.bend if self.component == "threshold" else ()

    def relaid(self, input: torch.Tensor) -> torch.Tensor:
        """The input again, no longer a leaf, in the same layout, to be changed in place."""
        relay = LAYOUTS[self.input.layout] if self.input.layout != "expanded" else torch.clone
        return relay(input.clone())


@st.composite
def relu_cases(draw: st.DrawFn) -> ReluCase:
    shape, family = draw(shapes(max_dims=5, max_elements=1025)), draw(families)
    of_shape = arrays(shape, family, special=3 / 4)
    bend = (0.0, 0.0) if draw(st.booleans()) else draw(st.tuples(bends, bends))
    return ReluCase(draw(of_shape), draw(of_shape), draw(st.sampled_from(tuple(FORMS))), bend)


bends = st.sampled_from((0.0, -0.0, 1.0, -0.5, float("inf"), float("-inf")))
"""Numbers that every dtype holds. (NaN is below no threshold, and above none.)"""


class InPlace(torch.nn.Module):
    """A module that changes its input, given one that may be changed."""

    def __init__(self, module: torch.nn.Module, relaid: Function) -> None:
        super().__init__()
        self.module, self.relaid = module, relaid

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.module(self.relaid(input))


@given(case=relu_cases(), door=side_doors)
def test_relu_and_its_gradient_equal_the_reference(
    targets: Targets, case: ReluCase, door: SideDoor
) -> None:
    function, layer = FORMS[case.form]
    in_place = case.form in IN_PLACE

    def rectified(input: torch.Tensor) -> torch.Tensor:
        return function(case.relaid(input) if in_place else input, *case.arguments)

    def module() -> torch.nn.Module:
        made = layer(*case.arguments)
        return InPlace(made, case.relaid) if in_place else made

    for dtype, paths in through(targets, door):
        rounding = Rounding.kernel(dtype)
        input = rounding.array(case.input.numbers(dtype))
        grad_output = rounding.array(case.grad_output.numbers(dtype))
        if case.component == "relu":
            output, grad_input = relu(input), relu_backward(grad_output, input)
        else:
            output = threshold(input, *case.bend)
            grad_input = threshold_backward(grad_output, input, case.bend[0])
        for target in paths:
            if target.path == "vmap" and in_place and 0 in case.input.shape:
                continue  # see test_a_batch_of_nothing_is_changed_in_place
            x, g = case.input.tensor(target), case.grad_output.tensor(target)
            y, grads = gradients(target, rectified, {"input": x}, g, module)
            if not in_place:
                check_apart(case.component, target, x, y)
            check(case.component, "output", target, y, output)
            check(case.component, "grad_input", target, grads["input"], grad_input)


def check_apart(component: str, target: Target, x: torch.Tensor, y: torch.Tensor) -> None:
    if y.numel() and y.data_ptr() == x.data_ptr():
        what, apart = "is in the memory of its input", "got[0].data_ptr() != got[1].data_ptr()"
        deviates(component, "output", target, what, (y, x), apart)


@pytest.mark.parametrize("form", ["relu", "threshold"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 4)])
def test_what_passes_whole_is_copied(targets: Targets, form: str, shape: tuple[int, ...]) -> None:
    function = partial(FORMS[form][0], **{"threshold": 0.0, "value": 0.0} if form != "relu" else {})
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            if target.device != "meta":  # where nothing has an address
                x = torch.ones(shape, dtype=target.torch_dtype, device=target.device)
                check_apart(form, target, x, function(x))


@given(case=relu_cases().filter(lambda case: case.form in IN_PLACE))
def test_in_place_it_writes_its_elements_and_nothing_else(targets: Targets, case: ReluCase) -> None:
    function, _ = FORMS[case.form]
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            x = case.relaid(case.input.tensor(target))
            before, address = x.clone(), x.data_ptr()
            everything(x).fill_(-3.0)  # it would change, where NaN passes
            x.copy_(before)
            gaps = everything(x) == -3.0
            y = function(x, *case.arguments)
            if y is not x or x.data_ptr() != address:
                what = "is not its input, changed in place"
                deviates(case.component, "output", target, what, (y, x), "got[0] is got[1]")
            x.copy_(before)
            if not torch.equal(now := everything(x) == -3.0, gaps):
                what, both = "were written to", (now, gaps)
                deviates(case.component, "surroundings", target, what, both, "torch.equal(*got)")


def test_what_shares_memory_with_itself_is_not_changed_in_place(targets: Targets) -> None:
    for _, paths in targets.by_dtype("functional"):
        for target in paths:
            if target.device == "meta":
                continue  # which overlooks it
            one = torch.ones(1, 2, dtype=target.torch_dtype, device=target.device)
            with pytest.raises(RuntimeError, match="refers to a single memory location"):
                F.relu_(one.expand(2, 2))


@pytest.mark.xfail(
    raises=RuntimeError,
    strict=True,
    reason="the backward pass of copy_ is not batched where there is nothing; upstream unreported",
)
def test_a_batch_of_nothing_is_changed_in_place() -> None:
    def rectified(x: torch.Tensor) -> torch.Tensor:
        return F.relu_(LAYOUTS["padded"](x)).sum()

    torch.func.vmap(torch.func.grad(rectified))(torch.ones(3, 4, 0))
