"""Faults of Adam and AdamW: in a step, and between two of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import Adam, AdamW

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import around, is_adam, parameters, setting, stepping
from tests.meta.faults.witnesses import pair, trained

PLACES |= {
    "adam": Place(Adam, "step", lambda: trained(Adam(pair(), lr=0.1, eps=0.1))),
    "adamw": Place(AdamW, "step", lambda: trained(AdamW(pair(), lr=0.1, eps=0.1))),
}


def reloaded(optimizer: AdamW) -> Any:
    """A new optimizer that goes on where one left off."""
    trained(optimizer)
    new = AdamW(pair())
    new.load_state_dict(optimizer.state_dict())
    return trained(new)


ADAM_STATE = "(param|exp_avg|exp_avg_sq|max_exp_avg_sq)"


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
