"""The public functions and classes of torch written in Python, replaced by what records them."""

from __future__ import annotations

import copy
import functools
import operator
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad
from torch.utils.hooks import RemovableHandle

from tests.harness.reproducer.names import public_name
from tests.harness.reproducer.recorder import Call, Recorder
from tests.harness.reproducer.statements import Statement
from tests.harness.reproducer.tape import Tape, UnspeakableError

NAMESPACES = {
    "F": torch.nn.functional,
    "torch": torch,
    "torch.nn.init": torch.nn.init,
    "torch.nn.utils": torch.nn.utils,
    "torch.autograd": torch.autograd,
    "torch.autograd.forward_ad": forward_ad,
    "torch.func": torch.func,
}
UNHEARD = {"compile", "enter_dual_level", "exit_dual_level", "typename", "seed"}
UNHEARD |= {"handle_torch_function"}  # by which torch calls a mode
UNHEARD_BEGINNINGS = ("_", "is_", "get_", "set_", "use_", "initial_seed", "manual_seed")
HEARD = {"get_total_norm"}
METHODS = ("__call__", "__setattr__", "__delattr__", "__setitem__", "__delitem__")
INSIDE = {"forward", "extra_repr", "named_modules", "named_parameters", "named_buffers"}


@contextmanager
def recording(recorder: Recorder) -> Iterator[Tape]:
    """Replace torch's public entry points, wherever the tests hold them, and record."""
    with pytest.MonkeyPatch.context() as patch:
        replaced: dict[Any, Call] = {}
        for prefix, namespace in NAMESPACES.items():
            for name, function in list(vars(namespace).items()):
                if isinstance(function, FunctionType) and is_heard(name):
                    replaced[function] = recorder.replacement(f"{prefix}.{name}", function)
                    patch.setattr(namespace, name, replaced[function])
        replaced[torch.compile] = recorder.compiler(torch.compile)
        patch.setattr(torch, "compile", replaced[torch.compile])
        replaced[copy.deepcopy] = recorder.replacement("copy.deepcopy", copy.deepcopy)
        patch.setattr(copy, "deepcopy", replaced[copy.deepcopy])
        for name, module in list(sys.modules.items()):
            if name.startswith("tests.") and not name.startswith(("tests.harness", "tests.meta")):
                replace_held(patch, vars(module), replaced)
        for cls in classes():
            replace_methods(patch, recorder, cls)
        count_levels(patch, recorder)
        with recorder.recording() as tape:
            yield tape


def is_heard(name: str) -> bool:
    return name in HEARD or not (name in UNHEARD or name.startswith(UNHEARD_BEGINNINGS))


def classes() -> list[type]:
    """Of modules, of optimizers, and what these are made of."""
    found = [torch.Tensor, torch.amp.GradScaler, RemovableHandle]
    for namespace, base in ((torch.nn, torch.nn.Module), (torch.optim, torch.optim.Optimizer)):
        for cls in vars(namespace).values():
            if isinstance(cls, type) and issubclass(cls, base):
                found += [part for part in cls.__mro__ if part.__module__.startswith("torch")]
    return list(dict.fromkeys(found))


def replace_methods(patch: pytest.MonkeyPatch, recorder: Recorder, cls: type) -> None:
    special = () if cls is torch.Tensor else METHODS
    for name, function in list(vars(cls).items()):
        heard = name in special or not (name.startswith("_") or name in INSIDE)
        if isinstance(function, FunctionType) and heard:
            patch.setattr(cls, name, recorder.replacement(f".{name}", function))
    if cls is not torch.Tensor:  # also where it is inherited: the outermost has the arguments
        patch.setattr(cls, "__init__", constructor(recorder, cls.__init__))  # type: ignore[misc]


def constructor(recorder: Recorder, init: Call) -> Call:
    @functools.wraps(init)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        name = public_name(type(self))  # type: ignore[arg-type]  # mypy doubts its hash
        if recorder.mode is None or name is None:
            return init(self, *args, **kwargs)
        tape = recorder.tape
        with recorder.listening(False):
            args = tuple(recorder.prepared(x, []) for x in args)
            recorder.changes.notice(())
            try:
                text = f"{name}({tape.arguments(args, kwargs, [])})"
            except UnspeakableError:
                return init(self, *args, **kwargs)
            target = tape.fresh(recorder.name_of("", self, ()))
            tape.body.append(Statement(text, target, [], recorder.contexts(), pure=True))
            recorder.before(tape)
            init(self, *args, **kwargs)
            tape.call(self, target)
            recorder.changes.random = torch.default_generator.get_state()
            if isinstance(self, torch.optim.Optimizer):
                recorder.changes.notice_options(self, target)
        return None

    return call


def replace_held(
    patch: pytest.MonkeyPatch, held: dict[Any, Any], replaced: dict[Any, Call]
) -> None:
    """In the globals of a test, and in its tables."""
    for key, value in list(held.items()):
        if type(value) is dict and not str(key).startswith("__"):
            replace_held(patch, value, replaced)
        elif (new := exchanged(value, replaced)) is not value:
            patch.setitem(held, key, new)


def exchanged(value: Any, replaced: dict[Any, Call]) -> Any:
    """What is to be held instead: the value itself, where none of its functions is replaced."""
    if isinstance(value, FunctionType):
        return replaced.get(value, value)
    if type(value) is tuple:
        parts = tuple(exchanged(x, replaced) for x in value)
        return value if all(map(operator.is_, parts, value)) else parts
    if type(value) is functools.partial and value.func in replaced:
        return functools.partial(replaced[value.func], *value.args, **value.keywords)
    return value


def count_levels(patch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """Levels of forward mode, which stand in a script as a context."""
    for name, by in (("enter_dual_level", 1), ("exit_dual_level", -1)):
        patch.setattr(forward_ad, name, counted(getattr(forward_ad, name), recorder, by))


def counted(function: Call, recorder: Recorder, by: int) -> Call:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        recorder.levels += by * (recorder.mode is not None)  # else they are torch's own
        with recorder.listening(False):
            return function(*args, **kwargs)

    return call
