"""Faults of the optimizers: what somebody could get wrong in a step, or between two of them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tests.meta.faults.catalogue import Function, around, fault, setting

ADAM_STATE = "(param|exp_avg|exp_avg_sq|max_exp_avg_sq)"


def stepping(self: Any) -> Iterator[tuple[dict[str, Any], Any, dict[str, Any]]]:
    """The group, the parameter and the state of those that have a gradient."""
    for group in self.param_groups:
        for param in group["params"]:
            if param.grad is not None:
                yield group, param, self.state.get(param, {})


@fault("adamw", "param")
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


@fault("adamw", "param", elements=8)
def twice_as_far_from_step_11(sound: Function) -> Function:
    """From the eleventh step on, the learning rate counts twice."""

    @contextmanager
    def far(self: Any) -> Iterator[None]:
        late = any(float(state.get("step", 0)) >= 10 for _, _, state in stepping(self))
        with setting(self, lr=lambda group: group["lr"] * (2 if late else 1)):
            yield

    return around(far)(sound)


@fault("adamw", ADAM_STATE)
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


@fault("adamw", "param")
def decay_ignores_lr(sound: Function) -> Function:
    """The parameter decays by lambda, not by lr lambda."""

    @contextmanager
    def whole(self: Any) -> Iterator[None]:
        for group, param, _ in stepping(self):
            param.data.mul_(1 - group["weight_decay"])
        with setting(self, weight_decay=lambda group: 0.0):
            yield

    return around(whole)(sound)


@fault("sgd", "(param|momentum_buffer)")
def maximize_ignored_by_foreach(sound: Function) -> Function:
    """Only the foreach path descends, whatever it is told."""

    def ignore(self: Any) -> Any:
        return setting(self, maximize=lambda group: group["maximize"] and not group["foreach"])

    return around(ignore)(sound)


@fault("sgd", "(param|momentum_buffer)")
def dampened_from_the_first_step(sound: Function) -> Function:
    """The first momentum buffer is dampened as well."""

    @contextmanager
    def early(self: Any) -> Iterator[None]:
        for group, param, _ in stepping(self):
            if group["momentum"] != 0 and self.state[param].get("momentum_buffer") is None:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param.detach())
        yield

    return around(early)(sound)


@fault("sgd", "(param|momentum_buffer)")
def buffer_aliases_the_gradient(sound: Function) -> Function:
    """The first momentum buffer is the gradient's tensor itself."""

    @contextmanager
    def alias(self: Any) -> Iterator[None]:
        new = [p for _, p, s in stepping(self) if s.get("momentum_buffer") is None]
        yield
        for group, param, state in stepping(self):
            plain = not (group["maximize"] or group["weight_decay"] or group["nesterov"])
            if plain and any(param is p for p in new) and state.get("momentum_buffer") is not None:
                state["momentum_buffer"] = param.grad

    return around(alias)(sound)


@fault("sgd", "(param|momentum_buffer)")
def lr_of_the_first_group(sound: Function) -> Function:
    """Every group steps at the first one's learning rate."""
    shared = around(lambda self: setting(self, lr=lambda group: self.param_groups[0]["lr"]))
    return shared(sound)


@fault("sgd", "(param|momentum_buffer)", elements=8)
def empty_parameter_stops_its_neighbours(sound: Function) -> Function:
    """Parameters after an empty one are not updated."""

    @contextmanager
    def stop(self: Any) -> Iterator[None]:
        grads: list[tuple[Any, Any]] = []
        behind = False
        for _, param, _ in stepping(self):
            if behind:
                grads.append((param, param.grad))
                param.grad = None
            behind |= param.numel() == 0
        yield
        for param, grad in grads:
            param.grad = grad

    return around(stop)(sound)


@fault("sgd", "(param|momentum_buffer)", dtype="float64")
def foreach_computes_in_float32(sound: Function) -> Function:
    """One path takes float64 numbers through float32."""

    @contextmanager
    def narrow(self: Any) -> Iterator[None]:
        yield
        for group, param, _ in stepping(self):
            if group["foreach"] and param.dtype == torch.float64:
                param.data.copy_(param.data.float())

    return around(narrow)(sound)


@fault("adamw", "step")
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


@fault("sgd", "surroundings")
def neighbours_written(sound: Function) -> Function:
    """The whole memory that a parameter is a view into is written to."""

    @contextmanager
    def spill(self: Any) -> Iterator[None]:
        yield
        for _, param, _ in stepping(self):
            memory = torch.empty(0, dtype=param.dtype).set_(param.untyped_storage())
            memory.nan_to_num_(math.pi)

    return around(spill)(sound)
