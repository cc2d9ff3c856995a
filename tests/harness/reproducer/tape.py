"""What is recorded of a test: the leaves, the statements, and the names of all that is known."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import torch

from tests.harness.reproducer.literals import Leaf
from tests.harness.reproducer.names import public_name
from tests.harness.reproducer.places import places
from tests.harness.reproducer.statements import Statement, walk
from tests.harness.reproducer.values import Values

PLAIN = (bool, int, str, torch.dtype, torch.layout, torch.memory_format, type(None), type(...))
TRANSPARENT = ("detach", "requires_grad_")  # of a leaf they make a leaf


class UnspeakableError(Exception):
    """A value that cannot be written as Python source."""


class ComputedError(UnspeakableError):
    """A result of torch, whose numbers must not be written down: a sound torch has others."""


class Tape:
    """Written by the recorder, while a test runs; read by the script."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.body = self.statements  # of the function that is being recorded
        self.leaves: list[Leaf] = []
        self.dropped: list[Leaf] = []  # of the last call, if all that it gave was a number
        self.values = Values()
        self.taken = {"got", "expected", "torch", "F", "sys"}
        self.last: Statement | None = None
        self.raised: tuple[Statement, BaseException] | None = None  # the last

    def fresh(self, hint: str) -> str:
        hint = "x" if hint == "self" else re.sub(r"\W", "_", hint).strip("_") or "x"
        names = (hint if n == 1 else f"{hint}{n}" for n in count(1))
        name = next(name for name in names if name not in self.taken)
        self.taken.add(name)
        return name

    def call(self, value: Any, name: str) -> None:
        """From now on, the value has a name."""
        self.values.keep(value).name = name

    def name(self, value: Any) -> str:
        """Empty, if it has none."""
        return self.values.look(value).name

    def rename(self, value: torch.Tensor, name: str) -> None:
        """What a call has given back goes by its name; only its gradient is asked for as before.

        Another torch may give back another tensor there.
        """
        known = self.values.keep(value)
        known.former = known.former or known.name
        known.name = name

    def hold(self, value: dict[Any, Any], name: str) -> None:
        """The same, as long as nobody changes what it holds."""
        self.call(value, name)
        self.values.keep(value).holds = {key: id(x) for key, x in value.items()}

    def is_held(self, value: Any) -> bool:
        """As it was given, with all in it."""
        if not isinstance(value, dict):
            return all(map(self.is_held, value)) if isinstance(value, list) else True
        now = {key: id(x) for key, x in value.items()}
        return self.values.look(value).holds == now and all(map(self.is_held, value.values()))

    def spell(  # noqa: PLR0911, PLR0912  (one for each kind)
        self, value: Any, hint: str = "x"
    ) -> str:
        """Python source for an argument. What is not known yet becomes a leaf."""
        if isinstance(value, torch.Tensor) and self.stands_twice(value):
            raise ComputedError("a tensor in two places")
        known = self.values.look(value)
        if known.name and (not isinstance(value, dict) or self.is_held(value)):
            return known.name
        if isinstance(value, torch.Tensor | torch.nn.Module) and (place := self.located(value)):
            return place
        if isinstance(value, torch.Tensor):
            return self.leaf(value, hint)
        if isinstance(value, PLAIN):
            return repr(value) if value is not ... else "..."
        if isinstance(value, float | complex):
            return repr(value)
        if isinstance(value, slice):
            parts = (value.start, value.stop, value.step)
            return f"slice({', '.join(map(self.spell, parts))})"
        if isinstance(value, torch.device):
            return repr(str(value))
        if isinstance(value, tuple | list | set | frozenset):
            return self.collection(value, hint)
        if known.gives is not None:
            return f"iter({self.spell(known.gives, hint)})"
        if isinstance(value, dict):
            pairs = (f"{self.spell(k)}: {self.spell(v, str(k))}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, torch.Generator):
            return self.generator(value)
        if isinstance(value, io.BytesIO) and not value.getbuffer():
            name = self.fresh("file")
            self.body.append(Statement("io.BytesIO()", name))
            self.call(value, name)
            return name
        if isinstance(value, type) and (public := public_name(value)):
            return public
        raise UnspeakableError(f"{type(value).__name__}")

    def plain(self, value: Any) -> str:
        """Numbers and names, alone and in collections, that no recorded call gave."""
        if self.values.look(value).computed:
            raise ComputedError("a number")
        if isinstance(value, list | tuple | dict):
            for x in (*value, *(value.values() if isinstance(value, dict) else ())):
                self.plain(x)
        elif not isinstance(value, (*PLAIN, float)):
            raise UnspeakableError(type(value).__name__)
        return self.spell(value)

    def collection(self, value: Any, hint: str) -> str:
        inside = [self.spell(x, hint.rstrip("s")) for x in value]
        if isinstance(value, list):
            return f"[{', '.join(inside)}]"
        if isinstance(value, tuple):
            return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"
        return f"{{{', '.join(sorted(inside))}}}" if inside else "set()"

    def is_new(self, x: torch.Tensor) -> bool:
        """Nothing has been done with a tensor so far that anyone would need to know."""
        if x.grad_fn is not None:
            return False
        name = self.name(x)
        if not name:
            return self.located(x) is None
        mentioned = re.compile(rf"\b{name}\b")
        return name in {leaf.name for leaf in self.leaves} and not any(
            mentioned.search(str(statement)) for statement in walk(self.statements)
        )

    def leaves_only(self, leaves: list[Leaf]) -> None:
        """Forget all others: what mentioned them is not on the tape."""
        others = {leaf.name for leaf in self.leaves if leaf not in leaves}
        for value in self.values:
            if value.name in others:
                self.forget(value.it)

    def forget(self, x: torch.Tensor) -> None:
        name = self.name(x)
        self.values.forget(x)
        self.leaves = [leaf for leaf in self.leaves if leaf.name != name]
        self.taken.discard(name)

    def name_of(self, x: Any) -> str | None:
        """The expression for what is known."""
        return self.name(x) or self.located(x)

    def stands_twice(self, x: torch.Tensor) -> bool:
        """Whether the state of an optimizer is also a leaf, or the state of another parameter.

        A sound torch has two tensors there, and a script could not tell which one is meant.
        """
        is_leaf = self.name(x) in {leaf.name for leaf in self.leaves}
        found = (sum(y is x for y in state) for state in self.states())
        return any(places and places + is_leaf > 1 for places in found)

    def is_of_a_state(self, x: torch.Tensor) -> bool:
        """Whether it is another view into the state of an optimizer."""
        try:
            memory = x.untyped_storage().data_ptr()
        except NotImplementedError:  # in a transform nothing has memory
            return False
        return any(
            isinstance(y, torch.Tensor) and 0 != y.untyped_storage().data_ptr() == memory
            for state in self.states()
            for y in state
        )

    def states(self) -> Iterator[list[Any]]:
        """All that each optimizer keeps."""
        for value in self.values:
            if isinstance(value.it, torch.optim.Optimizer):
                yield [y for of_one in value.it.state.values() for y in of_one.values()]

    def expression_of(self, x: Any) -> str | None:
        """The same for modules, optimizers, and tuples of what is known."""
        if isinstance(x, tuple):
            parts = [self.expression_of(part) for part in x]
            alone = "," if len(parts) == 1 else ""
            return None if None in parts else f"({', '.join(map(str, parts))}{alone})"
        return self.name_of(x)

    def leaf(self, x: torch.Tensor, hint: str) -> str:
        ordinary = type(x) in {torch.Tensor, torch.nn.Parameter} and x.layout == torch.strided
        if not ordinary or x.is_meta:
            raise UnspeakableError(type(x).__name__)
        if self.values.look(x).computed or self.is_of_a_state(x):
            raise ComputedError("what torch has computed")
        try:
            leaf = Leaf.of(self.fresh(hint), x)
        except (RuntimeError, NotImplementedError) as error:
            raise UnspeakableError("a tensor without memory") from error
        self.leaves.append(leaf)
        self.call(x, leaf.name)
        return leaf.name

    def located(self, x: Any) -> str | None:
        """Where it is found in a module or an optimizer that has a name."""
        for owner in self.values:
            if owner.name:
                for place, found in places(owner.it, owner.name, self.name):
                    if found is x:
                        return place
        return None

    def generator(self, value: torch.Generator) -> str:
        seed = value.initial_seed()
        begun = torch.Generator(value.device).manual_seed(seed)
        if not torch.equal(begun.get_state(), value.get_state()):
            raise UnspeakableError("a generator on its way")
        name = self.fresh("generator")
        device = "" if value.device.type == "cpu" else repr(str(value.device))
        self.body.append(Statement(f"torch.Generator({device}).manual_seed({seed})", name))
        self.call(value, name)
        return name

    def arguments(self, args: Any, kwargs: dict[str, Any], hints: list[str]) -> str:
        hints = hints + ["x"] * (len(args) - len(hints))
        parts = [self.spell(x, hint) for x, hint in zip(args, hints, strict=False)]
        return ", ".join([*parts, *(f"{k}={self.spell(x, k)}" for k, x in kwargs.items())])
