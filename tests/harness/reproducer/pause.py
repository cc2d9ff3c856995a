"""What a test draws its inputs with is not recorded: they stand in a script as literal numbers."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

PAUSE: list[Callable[[], AbstractContextManager[None]]] = []  # of the recorder, while there is one


def literal(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that makes tensors out of drawn numbers."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not PAUSE:
            return function(*args, **kwargs)
        with PAUSE[-1]():
            return function(*args, **kwargs)

    return call
