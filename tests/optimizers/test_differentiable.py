"""Gradients through an optimizer's step, which meta-learning takes, against the complex step.

The step is a function of the parameter, its gradient, lr and the weight decay. torch's autograd
carries an upstream gradient back through `differentiable=True`; the reference's step is evaluated
at each of them plus ih, whose imaginary part over h is the derivative, to float64's last digits.
"""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.adam import adam_step
from reference.adamw import adamw_step
from reference.sgd import sgd_step
from tests.harness.border import to_numpy
from tests.harness.targets import Target, Targets
from tests.harness.verdict import deviates

H = 1e-30
SIZE = 4
numbers = st.integers(1, 64).map(lambda n: n / 16)
vectors = st.lists(numbers, min_size=SIZE, max_size=SIZE)
signed = st.lists(numbers | numbers.map(lambda x: -x), min_size=SIZE, max_size=SIZE)


def sgd(param: Any, grad: Any, **options: Any) -> Any:
    return sgd_step(param, grad, np.full(SIZE, 0.5), momentum=0.75, **options)[0]


def adam(param: Any, grad: Any, **options: Any) -> Any:
    state = (np.full(SIZE, 0.5), np.full(SIZE, 0.25))
    return adam_step(param, grad, *state, 3, betas=(0.5, 0.75), eps=0.5, **options)[0]


def adamw(param: Any, grad: Any, **options: Any) -> Any:
    state = (np.full(SIZE, 0.5), np.full(SIZE, 0.25))
    return adamw_step(param, grad, *state, 3, betas=(0.5, 0.75), eps=0.5, **options)[0]


STEPS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "sgd": (sgd, torch.optim.SGD, {"momentum": 0.75}),
    "adam": (adam, torch.optim.Adam, {"betas": (0.5, 0.75), "eps": 0.5}),
    "adamw": (adamw, torch.optim.AdamW, {"betas": (0.5, 0.75), "eps": 0.5}),
}


def torch_step(name: str, inputs: dict[str, torch.Tensor], device: str) -> torch.Tensor:
    """One step from a state that is not empty; every input stays in the graph."""
    _, optimizer, options = STEPS[name]
    param = inputs["param"].clone()
    param.grad = inputs["grad"].clone()  # which torch overwrites: see the ledger
    opt = optimizer(
        [param],
        lr=inputs["lr"],
        weight_decay=inputs["weight_decay"],
        differentiable=True,
        foreach=False,  # else SGD takes foreach, which cannot, on devices that have it
        **options,
    )
    half = torch.full((SIZE,), 0.5, dtype=torch.float64, device=device)
    state = {"momentum_buffer": half}
    if name != "sgd":
        # float64, that its corrections, of which powers of 1/2 and 3/4 are exact, lose nothing
        step = torch.tensor(2.0, dtype=torch.float64)
        state = {"step": step, "exp_avg": half, "exp_avg_sq": half * half}
    opt.state[param].update(state)
    opt.step()
    return param


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=settings().max_examples // 3)  # one formula, four elements at a time
@given(param=signed, grad=signed, lr=numbers, weight_decay=numbers, cotangent=signed)
def test_gradients_through_a_step_are_the_derivatives_of_the_reference(
    targets: Targets,
    name: str,
    param: list[float],
    grad: list[float],
    lr: float,
    weight_decay: float,
    cotangent: list[float],
) -> None:
    given_values: dict[str, Any] = {
        "param": np.array(param),
        "grad": np.array(grad),
        "lr": lr / 8,
        "weight_decay": weight_decay / 8,
    }
    g = np.array(cotangent)
    reference = STEPS[name][0]
    for device in targets.devices:
        inputs = {
            key: torch.tensor(x, dtype=torch.float64, device=device, requires_grad=True)
            for key, x in given_values.items()
        }
        found = torch.autograd.grad(
            torch_step(name, inputs, device), list(inputs.values()), torch.from_numpy(g).to(device)
        )
        for (key, x), got in zip(given_values.items(), found, strict=True):
            derivative = reference(**{**given_values, key: x + 1j * H}).imag / H
            # Every element depends on its own gradient and parameter; all of them on lr and lambda.
            terms = g * derivative
            want = terms if np.ndim(x) else terms.sum()
            error = np.abs(to_numpy(got) - want)
            # A step is fewer than 20 operations and so is its derivative, on each side; each term
            # of theirs is below (1 + |p| + |g|)^3 times the upstream gradient (the moments are
            # below 1, the root plus eps between 1/2 and 20, and its derivative has the divisor
            # squared: 4). Four terms are summed.
            scale = (1 + np.abs(param) + np.abs(grad)) ** 3 * np.abs(g)
            bound = 2 * 40 * 4 * 2.0**-53 * (scale if np.ndim(x) else scale.sum())
            if not (error <= bound).all():
                target = Target(device, "float64", "differentiable")
                deviates(name, f"gradient by {key}", target, f"is {got}, expected {want}")
