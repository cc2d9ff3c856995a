"""What Python calls torch's functions, their parameters, and its classes."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import torch


@functools.cache
def public_name(cls: type) -> str | None:
    for namespace in ("torch.nn", "torch.optim", "torch.amp", "torch"):
        module = functools.reduce(getattr, namespace.split(".")[1:], torch)
        if getattr(module, cls.__name__, None) is cls:
            return f"{namespace}.{cls.__name__}"
    return None


@functools.cache
def signatures() -> dict[str, list[str]]:
    """The parameters of functions and methods, those written in C++ included, by name."""
    found = {}
    for function, dummy in torch.overrides.get_testing_overrides().items():
        if name := torch.overrides.resolve_name(function):
            found[short(name)] = list(inspect.signature(dummy).parameters)
    return found


def short(name: str) -> str:
    """As a script has it: functionals by F, methods from the dot on."""
    return name.replace("torch.nn.functional.", "F.").replace("torch.Tensor.", ".")


def parameter_names(name: str, function: Callable[..., Any]) -> list[str]:
    """For leaves to be called by."""
    if name in signatures():
        return signatures()[name]
    if not isinstance(function, types.FunctionType):
        return []
    return [
        p.name for p in inspect.signature(function).parameters.values() if p.kind < p.VAR_POSITIONAL
    ]
