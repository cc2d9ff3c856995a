"""What a tree of modules is, in plain Python dictionaries, and what each question about it answers.

A tensor is a dictionary of its numbers, dtype and gradient. Two names may stand for one tensor, or
for one node: as in torch, what is shared is the same object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis.vendor.pretty import RepresentationPrinter

Leaf = dict[str, Any]  # "numbers", "dtype"; a parameter also has its "grad"


@dataclass(eq=False, repr=False)
class Node:
    """A module: its dictionaries, as torch has them."""

    kind: str  # the name of the class in torch.nn
    parameters: dict[str, Leaf | None] = field(default_factory=dict)
    buffers: dict[str, Leaf | None] = field(default_factory=dict)
    not_persistent: set[str] = field(default_factory=set)
    plain: dict[str, Leaf | None] = field(default_factory=dict)
    children: dict[str, Node | None] = field(default_factory=dict)
    training: bool = True

    def __repr__(self) -> str:
        homes: list[dict[str, Any]] = [self.parameters, self.buffers, self.plain, self.children]
        named = [
            f"{'buffer ' * (home is self.buffers)}{name}="
            f"{value['numbers'] if isinstance(value, dict) else value}"
            for home in homes
            for name, value in home.items()
        ]
        return f"<{self.kind} of {len(self.named_modules())} modules: {', '.join(named)}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Hypothesis would print the fields."""
        printer.text(repr(self))

    # Questions

    def named_children(self) -> list[tuple[str, Node]]:
        """Each child once, under its first name."""
        return once((name, child) for name, child in self.children.items() if child)

    def places(self, prefix: str = "") -> Iterator[tuple[str, Node]]:
        """Every path to a node, parents first, shared nodes as often as they are shared."""
        yield prefix, self
        for name, child in self.children.items():
            if child:
                yield from child.places(joined(prefix, name))

    def named_modules(self) -> list[tuple[str, Node]]:
        """Each node once."""
        return once(self.places())

    def named(self, which: str) -> list[tuple[str, Leaf]]:
        """Each of the "parameters" or "buffers" once."""
        return once(
            (joined(prefix, name), leaf)
            for prefix, node in self.named_modules()
            for name, leaf in getattr(node, which).items()
            if leaf
        )

    def state_dict(self) -> dict[str, Leaf]:
        """Every path to a parameter or persistent buffer."""
        return {
            joined(prefix, name): leaf
            for prefix, node in self.places()
            for which in (node.parameters, node.buffers)
            for name, leaf in which.items()
            if leaf and (which is node.parameters or name not in node.not_persistent)
        }

    def applied(self) -> Iterator[Node]:
        """In the order of `apply`: children first; a node with two parents comes twice."""
        for _, child in self.named_children():
            yield from child.applied()
        yield self

    def swallows(self, key: str) -> bool:
        """A key below a child that is None: strict loading says nothing of it.

        That is torch's, and was found by others: https://github.com/facebookresearch/fairseq2/pull/330
        """
        name, dot, rest = key.partition(".")
        if name not in self.children or not dot:
            return False
        child = self.children[name]
        return child is None or child.swallows(rest)

    # Changes

    def assign(self, name: str, value: Leaf | Node | None) -> bool:
        """`module.name = value`; False where torch refuses it, which it does by TypeError."""
        is_parameter = isinstance(value, dict) and "grad" in value
        if is_parameter or (isinstance(value, Node) and name not in self.parameters):
            home: dict[str, Any] = self.parameters if is_parameter else self.children
            self.delete(name, keep=home)
        elif name in self.parameters or name in self.children:
            if value is not None:
                return False
            home = self.parameters if name in self.parameters else self.children
        else:
            home = self.buffers if name in self.buffers else self.plain
        home[name] = value
        return True

    def delete(self, name: str, keep: dict[str, Any] | None = None) -> bool:
        """Forget what a name stands for, unless it is kept in its place; was there anything?"""
        homes: list[dict[str, Any]] = [self.parameters, self.buffers, self.plain, self.children]
        found = [home for home in homes if home is not keep and name in home]
        for home in found:
            del home[name]
        self.not_persistent.discard(name)
        return bool(found)

    def register_buffer(self, name: str, leaf: Leaf | None, persistent: bool) -> bool:
        """False where torch refuses it, since the name stands for something else."""
        if name in self.parameters or name in self.children or name in self.plain:
            return False
        self.buffers[name] = leaf
        (set.discard if persistent else set.add)(self.not_persistent, name)
        return True

    def renumber(self, children: list[Node | None]) -> None:
        """The members of a list have their positions for names."""
        self.children = {str(i): child for i, child in enumerate(children)}


def joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def once(named: Any) -> list[tuple[str, Any]]:
    """Without what came before under another name."""
    first: dict[int, tuple[str, Any]] = {}
    for name, value in named:
        first.setdefault(id(value), (name, value))
    return list(first.values())
