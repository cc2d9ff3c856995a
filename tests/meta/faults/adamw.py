"""Faults of AdamW: in a step, and between two of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import AdamW

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import around, parameters, setting, stepping
from tests.meta.faults.witnesses import pair, reloaded, trained


def with_zeros(optimizer: AdamW) -> Any:
    """A step, its gradients zeros."""
    for param in parameters(optimizer):
        param.grad = torch.zeros_like(param)
    optimizer.step()
    return [(param, optimizer.state[param]) for param in parameters(optimizer)]


ADAM_STATE = "(param|exp_avg|exp_avg_sq|max_exp_avg_sq)"


PLACES |= {
    "adamw": Place(AdamW, "step", lambda: trained(AdamW(pair(), lr=0.1, eps=0.1))),
}


@fault("adamw", "formula", "(param|exp_avg|exp_avg_sq)", required=True)
def decay_coupled(sound: Function) -> Function:
    """The weight decay is added to the gradient, as in Adam."""
    coupled = around(lambda self: setting(self, decoupled_weight_decay=lambda group: False))
    return coupled(sound)


@fault("adamw", "formula", "param")
def decay_after_the_step(sound: Function) -> Function:
    """The parameter decays after its step instead of before: lr² times a little is off."""

    @contextmanager
    def late(self: Any) -> Iterator[None]:
        with setting(self, weight_decay=lambda group: 0.0):
            yield
        for group in self.param_groups:
            for param in group["params"]:
                param.data.mul_(1 - group["lr"] * group["weight_decay"])

    return around(late)(sound)


@fault("adamw", "formula", "param")
def correction_off_by_one(sound: Function) -> Function:
    """The averages are corrected as one step later."""

    @contextmanager
    def late(self: Any) -> Iterator[None]:
        before = {id(p): s["step"].clone() for _, p, s in stepping(self) if "step" in s}
        for _, _, state in stepping(self):
            if "step" in state:
                state["step"].add_(1)
        yield
        for _, param, state in stepping(self):
            if id(param) in before:
                state["step"].copy_(before[id(param)] + 1)

    return around(late)(sound)


@fault("adamw", "corner", "param", witness=lambda: trained(AdamW(pair()), 11), elements=8)
def twice_as_far_from_step_11(sound: Function) -> Function:
    """From the eleventh step on, the learning rate counts twice."""

    @contextmanager
    def far(self: Any) -> Iterator[None]:
        late = any(float(state.get("step", 0)) >= 10 for _, _, state in stepping(self))
        with setting(self, lr=lambda group: group["lr"] * (2 if late else 1)):
            yield

    return around(far)(sound)


@fault("adamw", "option", ADAM_STATE, witness=lambda: trained(AdamW(pair(), amsgrad=True)))
def maximum_before_the_update(sound: Function) -> Function:
    """amsgrad takes its maximum before the new square is averaged in."""

    @contextmanager
    def early(self: Any) -> Iterator[None]:
        before = {id(p): s["exp_avg_sq"].clone() for _, p, s in stepping(self) if "step" in s}
        yield
        for group, param, state in stepping(self):
            if group["amsgrad"]:
                old = before.get(id(param), torch.zeros_like(state["exp_avg_sq"]))
                state["max_exp_avg_sq"].copy_(old)

    return around(early)(sound)


@fault("adamw", "formula", "param")
def decay_ignores_lr(sound: Function) -> Function:
    """The parameter decays by lambda, not by lr lambda."""

    @contextmanager
    def whole(self: Any) -> Iterator[None]:
        for group, param, _ in stepping(self):
            param.data.mul_(1 - group["weight_decay"])
        with setting(self, weight_decay=lambda group: 0.0):
            yield

    return around(whole)(sound)


@fault("adamw", "state", "step", witness=lambda: reloaded(AdamW(pair())))
def step_forgotten_on_load(sound: Function) -> Function:
    """A new optimizer's first step, after its state was loaded, counts from 1."""

    @contextmanager
    def forget(self: Any) -> Iterator[None]:
        if not hasattr(self, "has_stepped"):
            for _, _, state in stepping(self):
                if "step" in state:
                    state["step"].zero_()
        self.has_stepped = True
        yield

    return around(forget)(sound)


@fault(
    "adamw",
    "precision",
    "param",
    witness=lambda: trained(AdamW(pair(torch.float64), lr=0.1)),
    dtype="float64",
)
def decay_in_float32(sound: Function) -> Function:
    """1 - lr lambda is rounded to float32, and 1 where lr lambda is small (#64475)."""

    @contextmanager
    def decayed(self: Any) -> Iterator[None]:
        for group, param, _ in stepping(self):
            factor = torch.tensor(1 - float(group["lr"]) * group["weight_decay"])
            param.data.mul_(factor.item())
        with setting(self, weight_decay=lambda group: 0.0):
            yield

    return around(decayed)(sound)


@fault(
    "adamw",
    "option",
    "param",
    witness=lambda: trained(AdamW([*pair(), *pair(torch.float64)], foreach=True)),
    dtype="float32|float64",
)
def decayed_once_a_dtype(sound: Function) -> Function:
    """foreach decays all parameters for each dtype that there is among them."""

    @contextmanager
    def again(self: Any) -> Iterator[None]:
        for group in self.param_groups:
            stepped = [p for p in group["params"] if p.grad is not None]
            for _ in range(len({p.dtype for p in stepped}) - 1 if group["foreach"] else 0):
                for param in stepped:
                    param.data.mul_(1 - group["lr"] * group["weight_decay"])
        yield

    return around(again)(sound)


@fault(
    "adamw",
    "corner",
    ADAM_STATE,
    witness=lambda: with_zeros(AdamW(pair())),
)
def zeros_not_stepped_on(sound: Function) -> Function:
    """A gradient of zeros is taken for none: no decay, no averages, no count."""

    @contextmanager
    def lazy(self: Any) -> Iterator[None]:
        grads = [(p, p.grad) for _, p, _ in stepping(self) if p.numel() and not p.grad.any()]
        for param, _ in grads:
            param.grad = None
        yield
        for param, grad in grads:
            param.grad = grad

    return around(lazy)(sound)
