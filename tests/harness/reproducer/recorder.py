"""Listens to what a test asks of torch, and puts it on a tape.

Operators, methods of tensors and functions written in C++ come by `TorchFunctionMode`; functions
and classes written in Python are replaced while the recording lasts (`entrances`). What a recorded
call does inside is not recorded, but for the functions that it was given.
"""

from __future__ import annotations

import functools
import io
import re
import types
from collections.abc import Callable, Iterator, ValuesView
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils.hooks import RemovableHandle

from tests.harness.reproducer.changes import Changes, versions
from tests.harness.reproducer.names import parameter_names, short
from tests.harness.reproducer.pause import PAUSE
from tests.harness.reproducer.spelling import expression
from tests.harness.reproducer.statements import Function, Statement
from tests.harness.reproducer.tape import PLAIN, TRANSPARENT, ComputedError, Tape, UnspeakableError

Call = Callable[..., Any]
NAMED = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer, RemovableHandle)


class Recorder:
    """While `listening`, calls of torch go onto the tape."""

    def __init__(self, before: Callable[[Tape], None] = lambda tape: None) -> None:
        self.tape, self.before = Tape(), before
        self.mode: Mode | None = None
        self.levels = 0  # of forward mode that are open
        self.changes = Changes(self.tape)
        self.replaced: dict[Call, tuple[str, Call]] = {}

    @contextmanager
    def recording(self) -> Iterator[Tape]:
        PAUSE.append(lambda: self.listening(False))
        try:
            with self.listening():
                yield self.tape
        finally:
            PAUSE.pop()

    @contextmanager
    def listening(self, heard: bool = True) -> Iterator[None]:
        outer, self.mode = self.mode, None
        if outer is not None:
            outer.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        try:
            if heard:
                with Mode(self) as self.mode:
                    yield
            else:
                yield
        finally:
            self.mode = outer
            if outer is not None:
                outer.__enter__()  # type: ignore[no-untyped-call]

    def contexts(self) -> tuple[str, ...]:
        found = [] if torch.is_grad_enabled() else ["torch.no_grad()"]
        if self.levels:
            found.append("torch.autograd.forward_ad.dual_level()")
        if torch.is_autocast_enabled("cpu"):
            found.append(f"torch.autocast('cpu', {torch.get_autocast_dtype('cpu')})")
        return tuple(found)

    def record(
        self,
        name: str,
        function: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *functions_before: Function,
    ) -> Any:
        """Make a call and put it on the tape, unless it cannot be written down."""
        tape = self.tape
        functions = list(functions_before)
        with self.listening(False):
            if name[1:] in TRANSPARENT and tape.is_new(args[0]):
                tape.forget(args[0])
                return function(*args, **kwargs)
            args = tuple(self.prepared(x, functions) for x in args)
            kwargs = {k: self.prepared(x, functions) for k, x in kwargs.items()}
            leaves = list(tape.leaves)
            try:
                self.changes.notice(args)
                text = expression(tape, name, args, kwargs, parameter_names(name, function))
            except UnspeakableError as error:
                tape.leaves_only(leaves)
                for noted in functions:
                    noted.in_a_call = False
                if isinstance(error, ComputedError):
                    result = function(*args, **kwargs)
                    tape.values.keep(result).computed = True
                    return result
            else:
                statement = Statement(text, "", functions, self.contexts())
                tape.body.append(statement)
                result = self.made(statement, name, function, args, kwargs)
                tape.dropped = []
                if statement not in tape.body:
                    tape.dropped = [leaf for leaf in tape.leaves if leaf not in leaves]
                    tape.leaves_only(leaves)
                return result
        return function(*args, **kwargs)

    def made(
        self, statement: Statement, name: str, function: Call, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """What the call gives, all of it with names."""
        before = versions(args, kwargs)
        self.before(self.tape)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            statement.raised = True
            self.tape.raised = statement, error
            raise
        self.changes.random = torch.default_generator.get_state()
        statement.pure = name.endswith("__get__") or (
            result is not None
            and versions(args, kwargs) == before
            and (name.endswith("__") or not name.endswith("_"))
            and "hook" not in name
            and not (isinstance(result, torch.nn.Module) and args and result is args[0])
        )
        self.tape.last = statement
        if result is None:
            return result
        if self.tape.name(result):
            given_back = isinstance(result, torch.Tensor) and any(result is x for x in args)
            if given_back and not name.endswith("_"):  # as nothing in place does
                statement.target = self.tape.fresh(self.name_of(name, result, args))
                self.tape.rename(result, statement.target)
            return result
        if is_plain(result):
            if isinstance(result, float | list | tuple):  # others are not one's own
                self.tape.values.keep(result).computed = True
            if statement.pure:
                self.tape.body.remove(statement)
            return result
        target = self.tape.fresh(self.name_of(name, result, args))
        found, useful = self.explored(result, target)
        statement.target = target if useful else ""
        return found

    def prepared(self, x: Any, functions: list[Function]) -> Any:
        """What spelling would use up, again from its beginning; a function, as one on the tape."""
        if isinstance(x, ValuesView):
            return list(x)
        if isinstance(x, Iterator) and not isinstance(x, io.BytesIO):
            items = list(x)
            again = iter(items)
            self.tape.values.keep(again).gives = items
            return again
        if isinstance(x, types.FunctionType | types.MethodType | functools.partial):
            return x if self.tape.name(x) else self.traced(x, functions)
        return x

    def traced(self, function: Call, functions: list[Function]) -> Call:
        tape = self.tape
        noted = Function(tape.fresh("function"))
        functions.append(noted)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if noted.is_called or kwargs or not noted.in_a_call:  # the first time tells
                return function(*args, **kwargs)
            noted.is_called = True
            outside, tape.body = tape.body, noted.body
            names = {id(value.it): value.name for value in tape.values}
            for x in args:
                noted.parameters.append(tape.fresh("x"))
                tape.call(x, noted.parameters[-1])
                for i, part in enumerate(x if isinstance(x, tuple) else ()):
                    tape.call(part, f"{noted.parameters[-1]}[{i}]")
            try:
                with self.listening():
                    result = function(*args)
                with suppress(UnspeakableError):
                    noted.result = tape.spell(result)
            finally:
                tape.body = outside
                inner = {*noted.parameters, *(statement.target for statement in noted.body)}
                for value in tape.values:
                    if re.split(r"\W", value.name)[0] in inner:  # which nobody outside knows
                        value.name = names.get(id(value.it), "")
                        value.computed |= not value.name
            return result

        tape.call(call, noted.name)
        return call

    def compiler(self, compile: Call) -> Call:
        """torch.compile, of whose code nobody is to listen to what it does inside.

        What the function does is heard where it is run as it is, on copies.
        """

        @functools.wraps(compile)
        def call(function: Call, **options: Any) -> Call:
            code = compile(function, **options)

            @functools.wraps(code)
            def run(*args: Any) -> Any:
                if self.mode is None:
                    return code(*args)
                functions: list[Function] = []
                with self.listening(False):
                    if not (args and all(isinstance(x, torch.Tensor) for x in args)):
                        return code(*args)
                    self.traced(function, functions)(*(x.detach().clone() for x in args))
                given = [functions[0].name, *(f"{k}={x!r}" for k, x in options.items())]
                return self.record(f"torch.compile({', '.join(given)})", code, args, {}, *functions)

            return run

        return call

    def explored(self, result: Any, name: str) -> tuple[Any, bool]:
        """Name all that a result consists of; what is to be handed on, and whether there is any."""
        tape = self.tape
        tape.values.keep(result)
        if isinstance(result, tuple | list):
            parts = [self.explored(x, f"{name}[{i}]") for i, x in enumerate(result)]
            if type(result) in {tuple, list}:
                result = type(result)(part for part, _ in parts)
            return result, any(useful for _, useful in parts)
        if isinstance(result, dict):
            for k, x in result.items():
                self.explored(x, f"{name}[{k!r}]")
            tape.hold(result, name)
            return result, True
        if isinstance(result, types.FunctionType | functools.partial):
            result = self.replacement(name, result)
        elif not isinstance(result, NAMED):
            return result, False
        if not tape.name(result):
            tape.call(result, name)
        return result, True

    def replacement(self, name: str, function: Call) -> Call:
        """A function that is recorded under a name, to stand in the place of another."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.mode is None:
                return function(*args, **kwargs)
            return self.record(name, function, args, kwargs)

        self.replaced[call] = name, function
        return call

    def name_of(self, name: str, result: Any, args: Any) -> str:
        if isinstance(result, torch.optim.Optimizer):
            return "opt"
        if isinstance(result, torch.nn.Module):
            return type(result).__name__.lower()
        if name == ".grad.__get__":
            return f"grad_{self.tape.name(args[0]) or 'x'}"
        return "y"


class Mode(TorchFunctionMode):
    """Hears operators, methods of tensors, and functions of torch."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recorder = self.recorder
        name, func = recorder.replaced.get(func) or (resolve_name(func), func)
        if recorder.mode is not self or name is None or name.startswith("profiler."):
            return func(*args, **(kwargs or {}))
        name = short(name)
        recorder.mode = None  # torch has taken this mode off for the while
        try:
            return recorder.record(name, func, args, kwargs or {})
        finally:
            recorder.mode = self


def is_plain(x: Any) -> bool:
    """Numbers, names, sizes: a script can do without the call that told them."""
    if isinstance(x, tuple | list):
        return all(map(is_plain, x))
    return isinstance(x, (*PLAIN, float, complex, torch.device))
