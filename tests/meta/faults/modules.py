"""Faults of modules: what they register, save, copy, clear and call."""

import copy
from typing import Any

import torch
from torch import nn

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def cleared(**options: Any) -> Any:
    module = nn.Linear(2, 2)
    module(numbers(1, 2)).sum().backward()
    module.zero_grad(**options)
    return [param.grad for param in module.parameters()]


def appended() -> Any:
    modules = nn.ModuleList([nn.Linear(1, 1)])
    modules.append(nn.Linear(1, 1))
    return modules.state_dict()


def hooked() -> Any:
    """Whatever a forward hook hears."""
    module, heard = nn.Linear(2, 2), []
    module.register_forward_hook(lambda module, args, output: heard.append(output))
    module(numbers(1, 2))
    return heard


def copied() -> Any:
    """A module whose copy was changed."""
    module = nn.Linear(2, 2)
    for param in copy.deepcopy(module).parameters():
        nn.init.zeros_(param)
    return module.state_dict()


def modes() -> Any:
    return [module.training for module in nn.Sequential(nn.Linear(1, 1)).eval().modules()]


PLACES |= {
    "modules zero_grad": Place(nn.Module, "zero_grad", cleared),
    "modules state_dict": Place(nn.Module, "state_dict", lambda: nn.BatchNorm1d(2).state_dict()),
    "modules append": Place(nn.ModuleList, "append", appended),
    "modules hook": Place(nn.Module, "register_forward_hook", hooked),
    "modules deepcopy": Place(nn.Parameter, "__deepcopy__", copied),
    "modules train": Place(nn.Module, "train", modes),
    "modules load": Place(
        nn.Module,
        "load_state_dict",
        lambda: nn.Linear(2, 2).load_state_dict(nn.Linear(2, 2).state_dict()),
    ),
    "modules to": Place(nn.Module, "to", lambda: nn.BatchNorm1d(2).to(torch.float64).state_dict()),
}

ANSWER = "modules: {output} on cpu is "


@fault(
    "modules zero_grad",
    "option",
    witness=lambda: cleared(set_to_none=False),
    message="test_apply_visits_all_and_zero_grad",
)
def old_values_left(sound: Function) -> Function:
    """zero_grad(set_to_none=False) detaches the gradients, and forgets to fill them."""

    def zero_grad(self: Any, set_to_none: bool = True) -> Any:
        return sound(self, set_to_none) if set_to_none else None

    return zero_grad


@fault("modules state_dict", "registration", message="test_buffers_move_and_are_saved")
def buffer_missing(sound: Function) -> Function:
    """The last buffer of each module is not saved."""

    def state_dict(self: Any, *args: Any, prefix: str = "", **options: Any) -> Any:
        state: Any = sound(self, *args, prefix=prefix, **options)
        for name in list(self._buffers)[-1:]:
            state.pop(prefix + name, None)
        return state

    return state_dict


@fault("modules append", "registration", message="a ModuleList has lost members")
def member_not_registered(sound: Function) -> Function:
    """ModuleList.append keeps the module as a plain attribute."""

    def append(self: Any, module: Any) -> Any:
        vars(self)[str(len(self))] = module
        return self

    return append


@fault("modules hook", "registration", message="test_hooks_run_once_each")
def hook_runs_twice(sound: Function) -> Function:
    """A forward hook is called twice for each call of its module."""

    def register(self: Any, hook: Any, **options: Any) -> Any:
        sound(self, hook, **options)
        return sound(self, hook, **options)

    return register


@fault("modules deepcopy", "aliasing", "parameters", message=ANSWER)
def copy_shares_parameters(sound: Function) -> Function:
    """copy.deepcopy of a module leaves its parameters those of the original."""
    return lambda self, memo: self


@fault("modules train", "state", message="test_modes_recurse")
def mode_of_children_forgotten(sound: Function) -> Function:
    """train() and eval() set the mode of the module itself, and of nothing below it."""

    def train(self: Any, mode: bool = True) -> Any:
        self.training = mode
        return self

    return train


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


@fault("modules to", "registration", "named_buffers", message=ANSWER)
def buffers_left_behind(sound: Function) -> Function:
    """to(dtype) converts the parameters, and not the buffers."""

    def to(self: Any, *args: Any, **options: Any) -> Any:
        before = [dict(module._buffers) for module in self.modules()]
        moved: Any = sound(self, *args, **options)
        for module, buffers in zip(self.modules(), before, strict=True):
            module._buffers.update(buffers)
        return moved

    return to
