"""The doors: each asks for the gradients that were asked for, and for no other."""

import shutil
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import settings

from tests.harness import doors
from tests.harness.doors import AUTOCAST, DOORS, SECOND_DOORS, SIDE_DOORS, gradients, movements
from tests.harness.targets import Target
from tests.harness.verdict import Deviation

INPUTS = {
    "input": torch.tensor([[1.0, 2.0]]),
    "weight": torch.tensor([[3.0, 5.0], [4.0, 6.0]]).T,  # not contiguous
    "bias": torch.tensor([7.0, 8.0]),
}
GRADS = {"input": [[8.0, 10.0]], "weight": [[1.0, 2.0], [1.0, 2.0]], "bias": [1.0, 1.0]}


def linear() -> torch.nn.Module:
    return torch.nn.Linear(2, 2)


@pytest.mark.parametrize("frozen", [(), ("input",), ("weight", "bias"), tuple(INPUTS)])
@pytest.mark.parametrize("door", [*DOORS, *SIDE_DOORS])
def test_a_door_returns_the_gradients_that_were_asked_for(
    door: str, frozen: tuple[str, ...]
) -> None:
    target = Target("cpu", "float32", door)
    y, grads = gradients(target, F.linear, INPUTS, torch.ones(1, 2), linear, frozen)
    assert y.tolist() == [[18.0, 25.0]]
    assert {name: grad.tolist() for name, grad in grads.items() if grad is not None} == {
        name: grad for name, grad in GRADS.items() if name not in frozen
    }


@pytest.mark.parametrize("door", [*DOORS, *SIDE_DOORS])
def test_a_door_leaves_the_inputs_as_they_were(door: str) -> None:
    gradients(Target("cpu", "float32", door), F.linear, INPUTS, torch.ones(1, 2), linear)
    assert not any(x.requires_grad or x.grad is not None for x in INPUTS.values())


def test_a_module_gets_its_parameters_in_their_layout() -> None:
    seen = []

    class Seen(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            seen.append((self.weight.stride(), self.weight.data_ptr()))
            return super().forward(input)

    target = Target("cpu", "float32", "module")
    gradients(target, F.linear, INPUTS, torch.ones(1, 2), lambda: Seen(2, 2))
    assert seen == [(INPUTS["weight"].stride(), INPUTS["weight"].data_ptr())]


@pytest.mark.parametrize("door", ["functional", "module"])
def test_a_gradient_that_nobody_asked_for_is_a_deviation(door: str) -> None:
    class Eager(torch.autograd.Function):
        """Leaves a gradient at a frozen input."""

        @staticmethod
        def forward(ctx, input, weight, bias):
            ctx.frozen, ctx.weight = bias, weight
            return F.linear(input, weight, bias)

        @staticmethod
        def backward(ctx, grad_output):
            ctx.frozen.grad = grad_output.sum(0)
            return grad_output @ ctx.weight, None, None

    class EagerLinear(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return Eager.apply(input, self.weight, self.bias)

    target = Target("cpu", "float32", door)
    frozen = ("weight", "bias")
    with pytest.raises(Deviation, match=f"^bias on cpu float32 {door} got a gradient that nobody"):
        gradients(target, Eager.apply, INPUTS, torch.ones(1, 2), lambda: EagerLinear(2, 2), frozen)


@pytest.mark.parametrize("door", ["functional", "module"])
def test_an_output_of_frozen_inputs_that_is_recorded_is_a_deviation(door: str) -> None:
    class Recorded(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return recorded(input, self.weight, self.bias)

    def recorded(*inputs: torch.Tensor) -> torch.Tensor:
        return F.linear(*inputs).requires_grad_()

    with pytest.raises(Deviation, match=f"^the output on cpu float32 {door} requires a gradient"):
        gradients(
            Target("cpu", "float32", door),
            recorded,
            INPUTS,
            torch.ones(1, 2),
            lambda: Recorded(2, 2),
            frozen=tuple(INPUTS),
        )


@pytest.mark.parametrize("written", ["input", "grad_output"])
def test_what_is_written_to_is_a_deviation(written: str) -> None:
    def careless(input: torch.Tensor) -> torch.Tensor:
        output = input * 2
        (input if written == "input" else grad_output).data[0] = 7.0
        return output

    x, grad_output = torch.ones(2), torch.ones(2)
    with pytest.raises(Deviation, match=f"^{written} on cpu float32 functional was written to$"):
        gradients(Target("cpu", "float32", "functional"), careless, {"input": x}, grad_output)


@pytest.mark.parametrize("door", AUTOCAST)
def test_a_function_is_called_under_autocast_and_walked_back_outside(door: str) -> None:
    seen: list[torch.dtype | None] = []

    def look(*_: Any) -> None:
        on = torch.is_autocast_enabled("cpu")
        seen.append(torch.get_autocast_dtype("cpu") if on else None)

    def function(input: torch.Tensor) -> torch.Tensor:
        look()
        output = input * 3
        output.register_hook(look)
        return output

    x, target = torch.ones(2), Target("cpu", "float32", door)
    _, grads = gradients(target, function, {"input": x}, torch.ones(2))
    assert seen == [AUTOCAST[door], None]
    assert grads["input"] is not None
    assert grads["input"].tolist() == [3.0, 3.0]


def test_what_a_loaded_module_counts_is_seen_in_the_module_that_was_saved() -> None:
    module = torch.nn.BatchNorm1d(1, affine=False, momentum=1.0)
    x = torch.tensor([[1.0], [3.0]])
    target = Target("cpu", "float32", "saved")
    gradients(target, lambda x: x, {"input": x}, torch.ones(2, 1), lambda: module)
    assert [buffer.item() for buffer in module.buffers()] == [2.0, 2.0, 1]


@pytest.mark.parametrize("compilers", [True, False])
@pytest.mark.parametrize("profile", ["thorough", "default"])
def test_code_is_generated_in_thorough_runs_where_there_is_a_compiler(
    monkeypatch: pytest.MonkeyPatch, profile: str, compilers: bool
) -> None:
    told: list[str] = []
    monkeypatch.setattr(doors, "note", told.append)
    monkeypatch.setattr(shutil, "which", lambda name: name if compilers else None)
    loaded = SimpleNamespace(
        get_profile=settings.get_profile, get_current_profile_name=lambda: profile
    )
    monkeypatch.setattr(doors, "settings", loaded)
    generated = doors.backend() == "inductor"
    assert generated == (compilers and profile == "thorough")
    assert generated != bool(told)


# What moves when the inputs move

NUMBERS = {"input": torch.tensor([2.0]), "weight": torch.tensor([3.0])}
MOVES = {"input": torch.tensor([5.0]), "weight": torch.tensor([7.0])}


@pytest.mark.parametrize("door", SECOND_DOORS)
@pytest.mark.parametrize("moving", [("input",), ("weight",), ("input", "weight")])
def test_a_second_door_returns_how_a_product_moves(door: str, moving: tuple[str, ...]) -> None:
    """d(x w) = dx w + x dw; and of g (dx w + x dw), the derivatives by g, x and w."""
    directions = {name: MOVES[name] for name in moving}
    still = {name: torch.zeros(1) for name in NUMBERS} | directions
    dx, dw = (still[name].item() for name in NUMBERS)
    target = Target("cpu", "float32", door)
    moved: dict[str, Any] = movements(target, torch.mul, NUMBERS, directions, torch.tensor([11.0]))
    expected = {"tangent": dx * 3 + 2 * dw}
    if door == "double backward":
        every = {"input": dw * 11, "weight": dx * 11}
        expected = {f"second grad_{name}": every[name] for name in moving}
        expected["second grad_output"] = dx * 3 + 2 * dw
    assert {name: x.item() for name, x in moved.items()} == expected
