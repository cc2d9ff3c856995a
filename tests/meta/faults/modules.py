"""Faults of modules: what they register, save, copy, clear and call."""

from typing import Any

from torch import nn

from tests.meta.faults.catalogue import PLACES, Function, fault

PLACES |= {
    "modules zero_grad": (nn.Module, "zero_grad"),
    "modules state_dict": (nn.Module, "state_dict"),
    "modules append": (nn.ModuleList, "append"),
    "modules hook": (nn.Module, "register_forward_hook"),
    "modules deepcopy": (nn.Parameter, "__deepcopy__"),
    "modules train": (nn.Module, "train"),
    "modules load": (nn.Module, "load_state_dict"),
    "modules to": (nn.Module, "to"),
}

ANSWER = "modules: {output} on cpu is "


@fault("modules zero_grad", "", required=True, message="test_apply_visits_all_and_zero_grad")
def old_values_left(sound: Function) -> Function:
    """zero_grad(set_to_none=False) detaches the gradients, and forgets to fill them."""

    def zero_grad(self: Any, set_to_none: bool = True) -> Any:
        return sound(self, set_to_none) if set_to_none else None

    return zero_grad


@fault("modules state_dict", "", required=True, message="test_buffers_move_and_are_saved")
def buffer_missing(sound: Function) -> Function:
    """The last buffer of each module is not saved."""

    def state_dict(self: Any, *args: Any, prefix: str = "", **options: Any) -> Any:
        state: Any = sound(self, *args, prefix=prefix, **options)
        for name in list(self._buffers)[-1:]:
            state.pop(prefix + name, None)
        return state

    return state_dict


@fault("modules append", "", required=True, message="a ModuleList has lost members")
def member_not_registered(sound: Function) -> Function:
    """ModuleList.append keeps the module as a plain attribute."""

    def append(self: Any, module: Any) -> Any:
        vars(self)[str(len(self))] = module
        return self

    return append


@fault("modules hook", "", required=True, message="test_hooks_run_once_each")
def hook_runs_twice(sound: Function) -> Function:
    """A forward hook is called twice for each call of its module."""

    def register(self: Any, hook: Any, **options: Any) -> Any:
        sound(self, hook, **options)
        return sound(self, hook, **options)

    return register


@fault("modules deepcopy", "parameters", required=True, message=ANSWER)
def copy_shares_parameters(sound: Function) -> Function:
    """copy.deepcopy of a module leaves its parameters those of the original."""
    return lambda self, memo: self


@fault("modules train", "", required=True, message="test_modes_recurse")
def mode_of_children_forgotten(sound: Function) -> Function:
    """train() and eval() set the mode of the module itself, and of nothing below it."""

    def train(self: Any, mode: bool = True) -> Any:
        self.training = mode
        return self

    return train


@fault("modules load", "", message="DID NOT RAISE")
def missing_keys_forgiven(sound: Function) -> Function:
    """Strict loading says nothing of missing keys."""

    def load(self: Any, state: Any, strict: bool = True, **options: Any) -> Any:
        return sound(self, self.state_dict() | state, strict=strict, **options)

    return load


@fault("modules to", "named_buffers", required=True, message=ANSWER)
def buffers_left_behind(sound: Function) -> Function:
    """to(dtype) converts the parameters, and not the buffers."""

    def to(self: Any, *args: Any, **options: Any) -> Any:
        before = [dict(module._buffers) for module in self.modules()]
        moved: Any = sound(self, *args, **options)
        for module, buffers in zip(self.modules(), before, strict=True):
            module._buffers.update(buffers)
        return moved

    return to
