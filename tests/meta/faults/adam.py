"""Faults of Adam: in a step, and between two of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Adam

from tests.meta.faults.adamw import ADAM_STATE
from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import around, is_adam, parameters, setting, stepping
from tests.meta.faults.witnesses import numbers, pair, trained


def complex_ones_trained(**options: Any) -> Any:
    """Two steps, the second gradient smaller."""
    param = torch.complex(numbers(3), numbers(3) + 1).requires_grad_()
    optimizer = Adam([param], **options)
    for scale in (1.0, 0.01):
        param.grad = scale * param.detach()
        optimizer.step()
    return param, optimizer.state[param]


def with_a_pause(optimizer: Adam) -> Any:
    """Steps, one of them without gradients."""
    trained(optimizer)
    optimizer.zero_grad()
    optimizer.step()
    return trained(optimizer)


PLACES |= {
    "adam": Place(Adam, "step", lambda: trained(Adam(pair(), lr=0.1, eps=0.1))),
}


@fault("adam", "formula", "param", required=True)
def eps_inside_the_root(sound: Function) -> Function:
    """The step is divided by sqrt(v + eps) instead of sqrt(v) + eps."""

    @contextmanager
    def replace(self: Any) -> Iterator[None]:
        before = {param: param.detach().clone() for param in parameters(self)}
        yield
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for param in group["params"]:
                state = self.state.get(param)
                if not state or param.grad is None or param.is_complex():
                    continue
                t = float(state["step"])
                mean, square = (
                    state["exp_avg"] / (1 - beta1**t),
                    state["exp_avg_sq"] / (1 - beta2**t),
                )
                update = group["lr"] * mean / (square + group["eps"]).sqrt()
                param.data.copy_(before[param] - update)

    return around(replace, is_adam)(sound)


@fault("adam", "corner", "param", witness=lambda: trained(Adam(pair(), foreach=True), 3))
def foreach_miscounts_from_step_3(sound: Function) -> Function:
    """The foreach path corrects its averages as one step later, from the third step on."""

    @contextmanager
    def count(self: Any) -> Iterator[None]:
        late = [
            self.state[param]["step"]
            for group in self.param_groups
            for param in group["params"]
            if group["foreach"] and param.grad is not None
            if float(self.state.get(param, {}).get("step", 0)) >= 2
        ]
        for step in late:
            step.add_(1)
        yield
        for step in late:
            step.sub_(1)

    return around(count, is_adam)(sound)


@fault(
    "adam",
    "state",
    ADAM_STATE,
    witness=lambda: with_a_pause(Adam(pair())),
)
def averages_restart_after_a_pause(sound: Function) -> Function:
    """A parameter that has no gradient for a step loses its averages."""

    @contextmanager
    def restart(self: Any) -> Iterator[None]:
        for param in parameters(self):
            if param.grad is None:
                self.state.pop(param, None)
        yield

    return around(restart, is_adam)(sound)


@fault("adam", "precision", "exp_avg_sq")
def squares_kept_in_bfloat16(sound: Function) -> Function:
    """The average of the squares has the digits of bfloat16."""

    @contextmanager
    def narrow(self: Any) -> Iterator[None]:
        yield
        for _, param, state in stepping(self):
            if param.dtype == torch.float32:
                state["exp_avg_sq"].copy_(state["exp_avg_sq"].bfloat16())

    return around(narrow, is_adam)(sound)


@fault(
    "adam",
    "precision",
    ADAM_STATE,
    witness=lambda: trained(Adam(pair(torch.float64))),
    dtype="float64",
)
def betas_of_float32(sound: Function) -> Function:
    """beta1 and beta2 are rounded to float32."""

    def rounded(group: dict[str, Any]) -> Any:
        double = any(param.dtype == torch.float64 for param in group["params"])
        betas = torch.tensor(group["betas"], dtype=torch.float32).tolist()
        return tuple(betas) if double else group["betas"]

    return around(lambda self: setting(self, betas=rounded), is_adam)(sound)


@fault(
    "adam",
    "option",
    ADAM_STATE,
    witness=lambda: trained(Adam(pair(), maximize=True, fused=True)),
)
def maximize_ignored_when_fused(sound: Function) -> Function:
    """Only the fused path descends, whatever it is told."""

    def ignore(self: Any) -> Any:
        return setting(self, maximize=lambda group: group["maximize"] and not group["fused"])

    return around(ignore, is_adam)(sound)


@fault(
    "adam",
    "corner",
    "complex (param|max_exp_avg_sq)",
    witness=lambda: complex_ones_trained(amsgrad=True),
    elements=8,
)
def imaginary_maximum_forgotten(sound: Function) -> Function:
    """amsgrad keeps the maximum of the real parts, and of the others what is there (#104990)."""

    @contextmanager
    def forget(self: Any) -> Iterator[None]:
        yield
        for group, param, state in stepping(self):
            if group["amsgrad"] and param.is_complex():
                new = torch.view_as_real(state["exp_avg_sq"])[..., 1]
                torch.view_as_real(state["max_exp_avg_sq"])[..., 1].copy_(new)

    return around(forget, is_adam)(sound)
