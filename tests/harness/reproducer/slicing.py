"""Which of the recorded calls a result depends on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.harness.reproducer.statements import Statement, walk
from tests.harness.reproducer.tape import Tape


def needed(
    tape: Tape, result: str, last: Statement | None = None, refused: bool = False
) -> set[Statement]:
    """The statements that may have had a hand in a result, or in the last of them.

    One that changes nothing is needed where its own result is. One that changes something may have
    changed all that its arguments were made of; so it is needed where any of that is. One that was
    refused should have changed nothing; `refused` does not believe that.
    """
    every = [s for s in walk(tape.statements) if refused or not s.raised]
    names = {leaf.name for leaf in tape.leaves} | {s.target for s in every if s.target}
    mentioned = {s: set(mentions(s)) & names for s in every}
    made_of: dict[str, set[str]] = {s.target: mentioned[s] for s in every}
    for leaf in tape.leaves:
        made_of[leaf.name] = {other.name for other in tape.leaves if other.memory == leaf.memory}
    kept = {last} if last else set()
    relevant = (
        closure(set(words(result)) & names, made_of) if last is None else set(mentioned[last])
    )
    grown = True
    while grown:
        grown = False
        for s in every:
            changes = not s.pure and closure(touched(s) & names, made_of) & relevant
            if s not in kept and (s.target in relevant or changes):
                kept.add(s)
                relevant |= mentioned[s]
                grown = True
    return kept | set(seeds(every, kept))


def touched(statement: Statement) -> set[str]:
    """What it may change. A hook that answers nothing changes what it does something with."""
    hooks = [f for f in statement.functions if f.is_called and f.result == "None"]
    if ".register_" in statement.text and hooks:
        return {name for hook in hooks for inner in hook.body for name in mentions(inner)}
    return set(mentions(statement))


def mentions(statement: Statement) -> Iterator[str]:
    yield from words(statement.text)
    for function in statement.functions:
        yield from words(function.result)
        for inner in function.body:
            yield from mentions(inner)


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]\w*", text)


def closure(names: set[str], made_of: dict[str, set[str]]) -> set[str]:
    """The names, and all that they were made of."""
    found: set[str] = set()
    while names:
        found |= names
        names = set().union(*(made_of.get(name, set()) for name in names)) - found
    return found


def seeds(every: list[Statement], kept: set[Statement]) -> Iterator[Statement]:
    """Where the random numbers begin, before what is kept."""
    seed = None
    for statement in every:
        if statement.text.startswith("torch.manual_seed("):
            seed = statement
        elif seed and statement in kept:
            yield seed
            seed = None
