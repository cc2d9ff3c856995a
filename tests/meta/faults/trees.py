"""Faults of trees of modules: their members, and what is done to all of them."""

import copy
from typing import Any

import torch
from torch import nn

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def appended() -> Any:
    modules = nn.ModuleList([nn.Linear(1, 1)])
    modules.append(nn.Linear(1, 1))
    return modules.state_dict()


def copied(module: nn.Module) -> Any:
    """A module whose copy was changed, and how many parameters the copy has."""
    params = list(copy.deepcopy(module).parameters())
    for param in params:
        nn.init.zeros_(param)
    return module.state_dict(), len(params)


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    module[1].weight = module[0].weight
    return module


def cleared_by(function: Any) -> Any:
    """The gradients, after something was done with a module."""
    module = nn.Linear(2, 2)
    module(numbers(1, 2)).sum().backward()
    function(module)
    return [param.grad for param in module.parameters()]


def modes() -> Any:
    return [module.training for module in nn.Sequential(nn.Linear(1, 1)).eval().modules()]


def visited() -> Any:
    names: list[str] = []
    nn.Sequential(nn.Linear(1, 1), nn.ReLU()).apply(lambda module: names.append(repr(module)))
    return names


ANSWER = "modules: {output} on cpu is "


PLACES |= {
    "modules zero_grad": Place(nn.Module, "zero_grad", lambda: cleared_by(nn.Module.zero_grad)),
    "modules append": Place(nn.ModuleList, "append", appended),
    "modules deepcopy": Place(nn.Parameter, "__deepcopy__", lambda: copied(nn.Linear(2, 2))),
    "modules named_parameters": Place(
        nn.Module,
        "named_parameters",
        lambda: [name for name, _ in nn.Linear(1, 1).named_parameters()],
    ),
    "modules apply": Place(nn.Module, "apply", visited),
    "modules train": Place(nn.Module, "train", modes),
    "modules to": Place(nn.Module, "to", lambda: nn.BatchNorm1d(2).to(torch.float64).state_dict()),
}


@fault(
    "modules zero_grad",
    "option",
    witness=lambda: cleared_by(lambda module: module.zero_grad(False)),
    message="test_apply_visits_all_and_zero_grad",
)
def old_values_left(sound: Function) -> Function:
    """zero_grad(set_to_none=False) detaches the gradients, and forgets to fill them."""

    def zero_grad(self: Any, set_to_none: bool = True) -> Any:
        return sound(self, set_to_none) if set_to_none else None

    return zero_grad


@fault("modules append", "registration", message="a ModuleList has lost members")
def member_not_registered(sound: Function) -> Function:
    """ModuleList.append keeps the module as a plain attribute."""

    def append(self: Any, module: Any) -> Any:
        vars(self)[str(len(self))] = module
        return self

    return append


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


@fault(
    "modules to",
    "registration",
    "(named_)?parameters",
    witness=lambda: [name for name, _ in tied().to(torch.float64).named_parameters()],
    message=ANSWER,
)
def shared_parameter_converted_twice(sound: Function) -> Function:
    """to() makes a parameter of each name, also where two names were of one."""

    def to(self: Any, *args: Any, **options: Any) -> Any:
        moved: Any = sound(self, *args, **options)
        for module in self.modules():
            for name, param in module._parameters.items():
                if param is not None:
                    module._parameters[name] = nn.Parameter(param.detach().clone())
                    module._parameters[name].grad = param.grad
        return moved

    return to


@fault(
    "modules to",
    "state",
    "(named_)?parameters",
    witness=lambda: cleared_by(lambda module: module.to(torch.float64)),
    message=ANSWER,
)
def gradients_left_behind(sound: Function) -> Function:
    """to() forgets the gradients of what it converts."""

    def to(self: Any, *args: Any, **options: Any) -> Any:
        for param in self.parameters():
            param.grad = None
        return sound(self, *args, **options)

    return to


@fault(
    "modules named_parameters",
    "registration",
    "(named_)?parameters",
    witness=lambda: [name for name, _ in tied().named_parameters()],
    message=ANSWER,
)
def shared_parameter_named_twice(sound: Function) -> Function:
    """A parameter that two modules share is listed twice, and would be trained twice."""

    def named_parameters(
        self: Any, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Any:
        return sound(self, prefix, recurse, False)

    return named_parameters


@fault(
    "modules apply",
    "registration",
    message="(test_apply_visits_all|modules: modules visited by apply)",
)
def parents_visited_first(sound: Function) -> Function:
    """apply() visits a module before its children."""

    def apply(self: Any, visit: Any) -> Any:
        visit(self)
        for child in self.children():
            child.apply(visit)
        return self

    return apply
