"""The condition of an `assert` that failed in a test, as a script can ask it.

What torch made goes by the name that the tape has for it; what the test made itself, such as the
numbers that it expects, is written down as it was.
"""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

import torch

from tests.harness.reproducer.names import public_name, short
from tests.harness.reproducer.tape import Tape, UnspeakableError

OF_TORCH = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)


def condition_of(tape: Tape, error: AssertionError) -> str | None:
    """What was asserted; None where calls of torch alone do not tell it."""
    frame, asserted = failing(error.__traceback__)
    if asserted is None:
        return None
    spelling = Spelling(tape, frame)
    try:
        condition = ast.unparse(spelling.visit(asserted.test))
    except UnspeakableError:
        return None
    return condition if spelling.asks_torch else None


def failing(traceback: TracebackType | None) -> tuple[FrameType, ast.Assert | None]:
    """The statement that failed, and where its names have their values."""
    assert traceback
    while traceback.tb_next:
        traceback = traceback.tb_next
    path = Path(traceback.tb_frame.f_code.co_filename)
    tree = ast.parse(path.read_text("utf-8") if path.is_file() else "")
    for node in ast.walk(tree):
        ends = getattr(node, "end_lineno", 0)
        if isinstance(node, ast.Assert) and node.lineno <= traceback.tb_lineno <= ends:
            return traceback.tb_frame, node
    return traceback.tb_frame, None


class Spelling(ast.NodeTransformer):
    """Exchanges what the names of a test stand for."""

    def __init__(self, tape: Tape, frame: FrameType) -> None:
        self.tape, self.asks_torch = tape, False
        self.names = {**vars(builtins), **frame.f_globals, **frame.f_locals}
        self.inner: set[str] = set()  # names that the condition itself gives

    def visit(self, node: ast.AST) -> Any:
        parts = list(ast.walk(node))
        named = [part for part in parts if isinstance(part, ast.Name)]
        names = {part.id for part in named}
        self.inner |= {part.id for part in named if isinstance(part.ctx, ast.Store)}
        self.inner |= {part.arg for part in parts if isinstance(part, ast.arg)}
        if not isinstance(node, ast.expr) or names & self.inner:
            return self.generic_visit(node)
        if not any(is_of_torch(self.names.get(name)) for name in names):
            return ast.parse(self.literal(node), mode="eval").body
        calls = any(isinstance(part, ast.Call) for part in parts)
        if name := None if calls else self.name(self.value(node)):
            return ast.parse(name, mode="eval").body
        if isinstance(node, ast.Name):
            raise UnspeakableError(node.id)
        return self.generic_visit(node)

    def value(self, node: ast.expr) -> Any:
        try:
            return eval(ast.unparse(node), dict(self.names))
        except Exception as error:
            raise UnspeakableError(ast.unparse(node)) from error

    def name(self, value: Any) -> str | None:
        """Of torch, or of what it made, alone or in a list."""
        if isinstance(value, OF_TORCH):
            self.asks_torch = True
            return self.tape.expression_of(value)
        if isinstance(value, ModuleType):
            return short(f"{value.__name__}.").removesuffix(".")
        if isinstance(value, type):
            return public_name(value)
        if type(value) in (list, tuple):
            parts = [self.name(x) for x in value]
            return None if None in parts else f"[{', '.join(map(str, parts))}]"
        if type(value) is dict:
            pairs = [f"{key!r}: {self.name(x)}" for key, x in value.items()]
            return (
                None if any(pair.endswith("None") for pair in pairs) else f"{{{', '.join(pairs)}}}"
            )
        return None

    def literal(self, node: ast.expr) -> str:
        """A number that the test expects, or a function that everyone knows."""
        value = self.value(node)
        if isinstance(node, ast.Name) and getattr(builtins, node.id, None) is value:
            return node.id
        return self.tape.plain(value)


def is_of_torch(value: Any) -> bool:
    """What torch made, or torch itself."""
    if isinstance(value, list | tuple | dict):
        return any(map(is_of_torch, value.values() if isinstance(value, dict) else value))
    home = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    return isinstance(value, OF_TORCH) or home.partition(".")[0] == "torch"
