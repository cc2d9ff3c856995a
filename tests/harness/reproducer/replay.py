"""A failing case run once more, this time on a tape; what it leads to is a script."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from tests.harness import switches
from tests.harness.record import RECORD
from tests.harness.reproducer.endings import (
    Asserting,
    Comparing,
    Raising,
    Refusing,
    ending_of,
)
from tests.harness.reproducer.entrances import recording
from tests.harness.reproducer.recorder import Recorder
from tests.harness.reproducer.script import Script
from tests.harness.reproducer.slicing import mentions, needed, words
from tests.harness.reproducer.statements import Statement, walk
from tests.harness.reproducer.tape import Tape
from tests.harness.verdict import Deviation

SEED = Statement("torch.manual_seed(0)")  # for numbers that nobody has seeded


def script_of(test: Callable[[], Any]) -> Script | str:
    """The script of a test that fails; or why calls of torch alone do not tell it."""
    with unrecorded_verdicts(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with recording(Recorder()) as tape:
            tape.statements.append(SEED)
            try:
                test()
            except (Exception, pytest.fail.Exception) as error:
                failure = error
            else:
                return "run once more, the same case does not fail"
    return script_from(tape, failure)


def script_from(tape: Tape, failure: BaseException) -> Script | str:
    """The same of a test that was on a tape when it failed."""
    ending = ending_of(tape, failure)
    if ending is None:
        return "what is wrong is not what one call of torch gave, but what the test made of it"
    last = None
    if isinstance(ending, Raising) and tape.raised:
        last = tape.raised[0]
        last.raised = False  # it is to raise again
    elif isinstance(ending, Refusing) and tape.last:
        last = tape.last
        if last not in tape.statements:
            tape.statements.append(last)
            tape.leaves += tape.dropped
    set_ = failure.switches if isinstance(failure, Deviation) else switches.changed()
    part = needed(tape, ending.result, last) - {SEED}
    refused = needed(tape, ending.result, last, refused=True)
    calls = part
    if isinstance(ending, Comparing):
        names = set(words(ending.result))
        at_all = (s for s in walk(tape.statements) if s in refused or names & set(mentions(s)))
        calls = {statement for statement in at_all if computes(statement)}
    if not (last or calls or isinstance(ending, Asserting)):
        return "what is wrong had left torch before it was compared"
    for kept in (
        {statement for statement in part if not spoils(statement)},
        part,
        part | {SEED},
        refused,
        {statement for statement in walk(tape.statements) if not statement.raised},
    ):
        script = Script(tape, ending, kept, set_)
        if ending.same(script.run()):
            return script
    return "the calls of torch alone, repeated, do not lead to it"


MOVES = re.compile(
    r"\w+\.(detach|clone|contiguous|to|reshape|requires_grad_)\(|torch\.(tensor|cat|stack)\("
)


def computes(statement: Statement) -> bool:
    """Not only: makes a tensor, or moves one."""
    return statement is not SEED and not MOVES.match(statement.text)


def spoils(statement: Statement) -> bool:
    """Tests do it to what nobody may read any more; mostly, nobody does."""
    return statement.text.endswith(".fill_(nan)")


@contextmanager
def unrecorded_verdicts() -> Iterator[None]:
    """What is compared meanwhile has been counted before."""
    before = copy.deepcopy(vars(RECORD))
    try:
        yield
    finally:
        vars(RECORD).update(before)
