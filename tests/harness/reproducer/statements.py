"""The calls of torch as statements of Python, and the functions they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

SUPPRESSED = ("contextlib.suppress(Exception)",)


@dataclass
class Function:
    """A function that was given to torch, with what it did when torch called it first."""

    name: str
    parameters: list[str] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)
    result: str = "None"
    in_a_call: bool = True  # or in none that can be written down
    is_called: bool = False

    def lines(self, kept: Callable[[Statement], bool]) -> Iterator[str]:
        yield f"def {self.name}({', '.join([*self.parameters, '*_'])}):"
        if not self.is_called:
            yield "    raise SystemExit(0)  # where torch was wrong, it never called this"
        for line in (*source(self.body, kept), f"return {self.result}"):
            yield f"    {line}"


@dataclass(eq=False)
class Statement:
    """One call; the functions that are to be defined before it; in which contexts it is made."""

    text: str
    target: str = ""
    functions: list[Function] = field(default_factory=list)
    contexts: tuple[str, ...] = ()
    raised: bool = False
    pure: bool = False  # it changes nothing, so it matters only where its result does

    def __str__(self) -> str:
        return f"{self.target} = {self.text}" if self.target else self.text

    @property
    def may_be_refused(self) -> bool:
        """It was; or it registers a hook that nobody called, for which there may be no use."""
        never = self.functions and not any(function.is_called for function in self.functions)
        return self.raised or bool(never and ".register_" in self.text)


def source(statements: Iterable[Statement], kept: Callable[[Statement], bool]) -> Iterator[str]:
    """Lines of Python; statements of the same contexts stand under one `with`."""
    open_contexts: tuple[str, ...] = ()
    for statement in filter(kept, statements):
        for function in statement.functions:
            open_contexts = ()
            yield from function.lines(kept)
        contexts = statement.contexts + (SUPPRESSED if statement.may_be_refused else ())
        if contexts and contexts != open_contexts:
            yield f"with {', '.join(contexts)}:"
        open_contexts = contexts
        yield ("    " if open_contexts else "") + str(statement)


def walk(statements: Iterable[Statement]) -> Iterator[Statement]:
    """All statements, those of functions before those that call them."""
    for statement in statements:
        for function in statement.functions:
            yield from walk(function.body)
        yield statement
