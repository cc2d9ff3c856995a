"""`pytest -p tests.meta.read_only`: the references get their arrays read-only, and are counted."""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from inspect import getmembers, isfunction
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest

import reference

CALLS: dict[str, int] = {}


def read_only(x: Any) -> Any:
    """The same numbers, in a view that raises ValueError when it is written to."""
    if isinstance(x, np.ndarray):
        view = x.view()
        view.flags.writeable = False
        return view
    if type(x) in {list, tuple}:
        return type(x)(map(read_only, x))
    return x


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        CALLS[name] += 1
        options = {option: read_only(x) for option, x in options.items()}
        return function(*map(read_only, args), **options)

    return call


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Replace each function wherever it has been imported to, before a test imports it."""
    names = [f"reference.{name}" for _, name, _ in iter_modules(reference.__path__)]
    modules = [import_module(name) for name in names if name != "reference.__main__"]
    guards: dict[Any, Callable[..., Any]] = {}
    for module in modules:
        for name, function in getmembers(module, isfunction):
            if function.__module__ == module.__name__:
                full = f"{module.__name__}.{name}"
                CALLS[full] = 0
                guards[function] = guarded(full, function)
    for module in modules:
        for name, function in getmembers(module, isfunction):
            if function in guards:
                setattr(module, name, guards[function])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    never = [name for name, count in CALLS.items() if not count]
    terminalreporter.write_line(f"never called: {', '.join(never) or 'nothing'}")
