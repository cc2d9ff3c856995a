"""Faults of what modules save and load."""

from typing import Any

import torch
from torch import nn

from tests.meta.faults.catalogue import PLACES, Function, Place, fault


def with_buffer(persistent: bool) -> nn.Module:
    module = nn.Module()
    module.register_buffer("q", torch.ones(1), persistent)
    return module


def loaded() -> Any:
    """A module, after what it was given to load was changed."""
    module, state = nn.Linear(1, 1), {"weight": torch.ones(1, 1), "bias": torch.ones(1)}
    module.load_state_dict(state)
    state["bias"].zero_()
    return module.state_dict()


PLACES |= {
    "modules state_dict": Place(nn.Module, "state_dict", lambda: nn.BatchNorm1d(2).state_dict()),
    "modules register_buffer": Place(
        nn.Module, "register_buffer", lambda: with_buffer(persistent=True).state_dict()
    ),
    "modules load": Place(
        nn.Module,
        "load_state_dict",
        lambda: nn.Linear(2, 2).load_state_dict(nn.Linear(2, 2).state_dict()),
    ),
}


@fault("modules state_dict", "registration", message="test_buffers_move_and_are_saved")
def buffer_missing(sound: Function) -> Function:
    """The last buffer of each module is not saved."""

    def state_dict(self: Any, *args: Any, prefix: str = "", **options: Any) -> Any:
        state: Any = sound(self, *args, prefix=prefix, **options)
        for name in list(self._buffers)[-1:]:
            state.pop(prefix + name, None)
        return state

    return state_dict


@fault(
    "modules load",
    "option",
    witness=lambda: nn.Linear(2, 2).load_state_dict({}),
    message="DID NOT RAISE",
)
def missing_keys_forgiven(sound: Function) -> Function:
    """Strict loading says nothing of missing keys."""

    def load(self: Any, state: Any, strict: bool = True, **options: Any) -> Any:
        return sound(self, self.state_dict() | state, strict=strict, **options)

    return load


@fault(
    "modules state_dict",
    "registration",
    witness=lambda: with_buffer(persistent=False).state_dict(),
    message="(test_buffers_move_and_are_saved|modules: state_dict on cpu is)",
)
def passing_buffers_saved(sound: Function) -> Function:
    """Buffers that are not persistent are saved, too."""

    def state_dict(self: Any, *args: Any, prefix: str = "", **options: Any) -> Any:
        state: Any = sound(self, *args, prefix=prefix, **options)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                state.setdefault(prefix + name, buffer)
        return state

    return state_dict


@fault(
    "modules register_buffer",
    "registration",
    witness=lambda: with_buffer(persistent=False).state_dict(),
    message="modules: state_dict on cpu is",
)
def persistence_ignored(sound: Function) -> Function:
    """register_buffer(persistent=False) registers a persistent one."""
    return lambda self, name, tensor, persistent=True: sound(self, name, tensor)


@fault("modules load", "aliasing", witness=loaded, message="")
def given_tensors_taken(sound: Function) -> Function:
    """load_state_dict takes the tensors that it is given, instead of their numbers."""

    def load(self: Any, state: Any, strict: bool = True, assign: bool = False) -> Any:
        return sound(self, state, strict, True)

    return load
