"""Faults of SGD: in a step, between two of them, and on one path of three."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import torch
from torch.optim import SGD, Optimizer

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import around, parameters, setting, stepping
from tests.meta.faults.witnesses import pair, trained


def saved() -> Any:
    optimizer = SGD(pair(), lr=0.1, momentum=0.9)
    trained(optimizer)
    return optimizer.state_dict()


def surroundings(optimizer: Any) -> Any:
    """All of the memory of which a parameter is a part."""
    memory = torch.full((3,), math.nan)
    memory[1] = 4.0
    trained(optimizer([memory[1:2].requires_grad_()]))
    return memory


def state_after_zero_grad(optimizer: SGD) -> Any:
    """What the optimizer keeps, when it has stepped and its gradients are cleared in place."""
    trained(optimizer, 1)
    optimizer.zero_grad(set_to_none=False)
    return list(optimizer.state.values())


PLACES |= {
    "sgd": Place(SGD, "step", lambda: trained(SGD(pair(), lr=0.1, momentum=0.9))),
    "sgd saved": Place(Optimizer, "state_dict", saved),
}


@fault("sgd", "formula", "(param|momentum_buffer)", required=True)
def gradient_dampened(sound: Function) -> Function:
    """Momentum averages: the gradient enters the buffer times 1 - momentum."""
    dampened = around(lambda self: setting(self, dampening=lambda group: group["momentum"]))
    return dampened(sound)


@fault("sgd", "state", "(param|momentum_buffer)")
def buffer_forgotten(sound: Function) -> Function:
    """Each step starts the momentum anew."""

    @contextmanager
    def forget(self: Any) -> Iterator[None]:
        for param in parameters(self):
            self.state.get(param, {}).pop("momentum_buffer", None)
        yield

    return around(forget)(sound)


@fault("sgd", "state", "(param|momentum_buffer)")
def last_parameter_skipped(sound: Function) -> Function:
    """Of several parameters, the last is not updated."""

    @contextmanager
    def skip(self: Any) -> Iterator[None]:
        *others, last = parameters(self)
        grad = last.grad
        last.grad = None if others else grad
        yield
        last.grad = grad

    return around(skip)(sound)


@fault("sgd", "aliasing", "gradient")
def gradient_scaled_in_place(sound: Function) -> Function:
    """step() leaves the gradient multiplied by the learning rate."""

    @contextmanager
    def scale(self: Any) -> Iterator[None]:
        yield
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param.grad.mul_(group["lr"])

    return around(scale)(sound)


@fault(
    "sgd",
    "option",
    "(param|momentum_buffer)",
    witness=lambda: trained(SGD(pair(), lr=0.1, momentum=0.9, foreach=True, maximize=True)),
)
def maximize_ignored_by_foreach(sound: Function) -> Function:
    """Only the foreach path descends, whatever it is told."""

    def ignore(self: Any) -> Any:
        return setting(self, maximize=lambda group: group["maximize"] and not group["foreach"])

    return around(ignore)(sound)


@fault(
    "sgd",
    "option",
    "(param|momentum_buffer)",
    witness=lambda: trained(SGD(pair(), lr=0.1, momentum=0.9, dampening=0.5)),
)
def dampened_from_the_first_step(sound: Function) -> Function:
    """The first momentum buffer is dampened as well."""

    @contextmanager
    def early(self: Any) -> Iterator[None]:
        for group, param, _ in stepping(self):
            if group["momentum"] != 0 and self.state[param].get("momentum_buffer") is None:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param.detach())
        yield

    return around(early)(sound)


@fault(
    "sgd",
    "aliasing",
    "(param|momentum_buffer)",
    witness=lambda: state_after_zero_grad(SGD(pair(), lr=0.1, momentum=0.9)),
)
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


@fault(
    "sgd",
    "option",
    "(param|momentum_buffer)",
    witness=lambda: trained(
        SGD([{"params": [p], "lr": lr} for p, lr in zip(pair(), (1.0, 0.1), strict=True)])
    ),
)
def lr_of_the_first_group(sound: Function) -> Function:
    """Every group steps at the first one's learning rate."""
    shared = around(lambda self: setting(self, lr=lambda group: self.param_groups[0]["lr"]))
    return shared(sound)


@fault(
    "sgd",
    "corner",
    "(param|momentum_buffer)",
    witness=lambda: trained(SGD([torch.empty(0, requires_grad=True), *pair()], lr=0.1)),
    elements=8,
)
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


@fault(
    "sgd",
    "precision",
    "(param|momentum_buffer)",
    witness=lambda: trained(SGD(pair(torch.float64), lr=0.1, foreach=True)),
    dtype="float64",
)
def foreach_computes_in_float32(sound: Function) -> Function:
    """One path takes float64 numbers through float32."""

    @contextmanager
    def narrow(self: Any) -> Iterator[None]:
        yield
        for group, param, _ in stepping(self):
            if group["foreach"] and param.dtype == torch.float64:
                param.data.copy_(param.data.float())

    return around(narrow)(sound)


@fault("sgd", "aliasing", "surroundings", witness=lambda: surroundings(partial(SGD, lr=0.1)))
def neighbours_written(sound: Function) -> Function:
    """The whole memory that a parameter is a view into is written to."""

    @contextmanager
    def spill(self: Any) -> Iterator[None]:
        yield
        for _, param, _ in stepping(self):
            memory = torch.empty(0, dtype=param.dtype).set_(param.untyped_storage())
            memory.nan_to_num_(math.pi)

    return around(spill)(sound)


@fault(
    "sgd",
    "aliasing",
    "gradient",
    witness=lambda: trained(SGD(pair(), lr=0.1, weight_decay=0.1, foreach=True)),
)
def decay_added_to_the_gradient(sound: Function) -> Function:
    """foreach adds the weight decay to the gradients where they lie (#12218, #92706)."""

    @contextmanager
    def decay(self: Any) -> Iterator[None]:
        before = {id(p): p.detach().clone() for _, p, _ in stepping(self)}
        yield
        for group, param, _ in stepping(self):
            if group["foreach"] and group["weight_decay"]:
                param.grad.add_(before[id(param)], alpha=group["weight_decay"])

    return around(decay)(sound)


@fault(
    "sgd",
    "option",
    "param",
    witness=lambda: trained(SGD(pair(), lr=0.1, momentum=0.9, nesterov=True)),
)
def nesterov_ignored(sound: Function) -> Function:
    """Nesterov's momentum is the plain one."""
    return around(lambda self: setting(self, nesterov=lambda group: False))(sound)


@fault(
    "sgd",
    "state",
    "(param|momentum_buffer)",
    witness=lambda: trained(SGD([*pair(), *pair()], lr=0.1, momentum=0.9)),
)
def buffer_found_by_its_shape(sound: Function) -> Function:
    """Parameters of one shape and dtype have one momentum buffer among them."""

    @contextmanager
    def share(self: Any) -> Iterator[None]:
        yield
        buffers: dict[Any, Any] = {}
        for _, param, state in stepping(self):
            if (buffer := state.get("momentum_buffer")) is not None:
                key = param.shape, param.dtype
                state["momentum_buffer"] = buffers.setdefault(key, buffer)

    return around(share)(sound)


@fault(
    "sgd",
    "state",
    "loss",
    witness=lambda: SGD(pair(), lr=0.1).step(lambda: torch.tensor(0.25)),
    message="sgd: loss on cpu float32 .* is not what the closure returned",
)
def loss_of_the_closure_lost(sound: Function) -> Function:
    """step(closure) calls the closure, and returns nothing."""

    @wraps(sound)
    def step(self: Any, closure: Any = None) -> None:
        sound(self, closure)

    return step  # type: ignore[return-value]


@fault(
    "sgd",
    "corner",
    "(param|momentum_buffer)",
    witness=lambda: trained(SGD([torch.tensor(2.0, requires_grad=True)], lr=0.1)),
)
def single_numbers_not_stepped(sound: Function) -> Function:
    """A parameter without dimensions is taken for a constant."""

    @contextmanager
    def skip(self: Any) -> Iterator[None]:
        grads = [(param, param.grad) for param in parameters(self) if param.dim() == 0]
        for param, _ in grads:
            param.grad = None
        yield
        for param, grad in grads:
            param.grad = grad

    return around(skip)(sound)


@fault("sgd saved", "state", message="sgd: (param|momentum_buffer) on cpu float32 ")
def momentum_not_saved(sound: Function) -> Function:
    """state_dict leaves the momentum buffers out."""

    def state_dict(self: Any) -> Any:
        saved: Any = sound(self)
        if isinstance(self, SGD):
            saved["state"] = {}
        return saved

    return state_dict
