"""Faults of what all optimizers share."""

from typing import Any

from torch.optim import SGD, AdamW, Optimizer

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.tools import parameters
from tests.meta.faults.witnesses import pair, reloaded, trained


def cleared(optimizer: SGD) -> Any:
    trained(optimizer, 1)
    optimizer.zero_grad()
    return [param.grad for param in parameters(optimizer)]


def hooked() -> Any:
    """How often a hook runs in two steps."""
    heard: list[Any] = []
    optimizer = SGD(pair(), lr=0.1)
    optimizer.register_step_post_hook(lambda *_: heard.append(1))
    trained(optimizer)
    return heard


PLACES |= {
    "optimizer zero_grad": Place(Optimizer, "zero_grad", lambda: cleared(SGD(pair(), lr=0.1))),
    "optimizer hooks": Place(Optimizer, "register_step_post_hook", hooked),
    "optimizer loaded": Place(Optimizer, "load_state_dict", lambda: reloaded(AdamW(pair()))),
}


@fault(
    "optimizer zero_grad",
    "state",
    witness=lambda: cleared(SGD([{"params": [param]} for param in pair()], lr=0.1)),
    message="sgd: (param|momentum_buffer) on cpu float32 ",
)
def first_group_cleared(sound: Function) -> Function:
    """zero_grad clears the gradients of the first group only."""

    def zero_grad(self: Any, set_to_none: bool = True) -> Any:
        others = [(p, p.grad) for group in self.param_groups[1:] for p in group["params"]]
        kept = [(p, None if grad is None else grad.clone()) for p, grad in others]
        sound(self, set_to_none)
        for param, grad in kept:
            param.grad = grad

    return zero_grad


@fault("optimizer hooks", "registration", message="hook")
def step_hook_not_registered(sound: Function) -> Function:
    """register_step_post_hook returns a handle, and the hook never runs."""

    def register(self: Any, hook: Any) -> Any:
        handle: Any = sound(self, hook)
        handle.remove()
        return handle

    return register


@fault(
    "optimizer loaded",
    "state",
    witness=lambda: reloaded(AdamW(pair(), lr=0.1)),
    message="(adam|adamw|sgd): ",
)
def options_not_loaded(sound: Function) -> Function:
    """Loading brings the state, and leaves the options as they are."""

    def load(self: Any, state: Any) -> Any:
        options = [{k: x for k, x in g.items() if k != "params"} for g in self.param_groups]
        sound(self, state)
        for group, kept in zip(self.param_groups, options, strict=True):
            group.update(kept)

    return load
