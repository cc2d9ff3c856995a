"""A failing case run once more, this time on a tape; what it leads to is a script."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness.record import RECORD
from tests.harness.reproducer.endings import Raising, ending_of
from tests.harness.reproducer.entrances import recording
from tests.harness.reproducer.recorder import Recorder
from tests.harness.reproducer.script import Script
from tests.harness.reproducer.slicing import needed
from tests.harness.reproducer.tape import walk


def script_of(test: Callable[[], Any]) -> Script | None:
    """The script of a test that fails; None where what it did cannot be told by calls of torch."""
    recorder = Recorder()
    with unrecorded_verdicts(), recording(recorder) as tape:
        try:
            test()
        except Exception as error:
            ending = ending_of(tape, error)
        else:
            return None
    if ending is None:
        return None
    last = tape.raised[0] if isinstance(ending, Raising) and tape.raised else None
    script = Script(tape, ending, needed(tape, ending.result, last))
    if ending.same(script.run()):
        return script
    every = {statement for statement in walk(tape.statements) if not statement.raised}
    script = Script(tape, ending, every | ({last} if last else set()))
    return script if ending.same(script.run()) else None


@contextmanager
def unrecorded_verdicts() -> Iterator[None]:
    """What is compared meanwhile has been counted before."""
    before = copy.deepcopy(vars(RECORD))
    try:
        yield
    finally:
        vars(RECORD).update(before)
