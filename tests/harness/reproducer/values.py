"""What is known of the objects that a test handles: their names, and what they are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Value:
    """One object."""

    it: Any
    name: str = ""  # of none that is on the tape
    former: str = ""  # its first name, where a call has given it back
    computed: bool = False  # made of results that are not on the tape
    gives: list[Any] | None = None  # what an iterator gives
    holds: dict[Any, int] | None = None  # the addresses of what was in a dictionary


class Values:
    """By address, which no other object takes while this one is kept here."""

    def __init__(self) -> None:
        self.by_address: dict[int, Value] = {}

    def keep(self, x: Any) -> Value:
        return self.by_address.setdefault(id(x), Value(x))

    def __iter__(self) -> Iterator[Value]:
        return iter(list(self.by_address.values()))

    def look(self, x: Any) -> Value:
        """The same, but what was not kept so far is not kept now."""
        return self.by_address.get(id(x)) or Value(x)

    def forget(self, x: Any) -> None:
        self.by_address.pop(id(x), None)
