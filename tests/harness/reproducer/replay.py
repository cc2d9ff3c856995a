"""A failing case run once more, this time on a tape; what it leads to is a script."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tests.harness.comparison import Comparison
from tests.harness.record import RECORD
from tests.harness.reproducer.entrances import recording
from tests.harness.reproducer.literals import same_bits
from tests.harness.reproducer.recorder import Recorder
from tests.harness.reproducer.script import Script
from tests.harness.reproducer.tape import walk
from tests.harness.verdict import Deviation


def script_of(test: Callable[[], Any]) -> tuple[Script, Comparison] | None:
    """The pruned script of a test that fails; None where it cannot be had."""
    recorder = Recorder()
    with unrecorded_verdicts(), recording(recorder) as tape:
        try:
            test()
        except Deviation as found:
            deviation = found
        else:
            return None
    if deviation.comparison is None or deviation.actual is None:
        return None
    script = Script.of(tape, deviation.actual)
    wrong = deviation.actual.detach().clone()

    def same(result: Any) -> bool:
        return isinstance(result, torch.Tensor) and same_numbers(result, wrong)

    if script is None:
        return None
    if not same(script.run()):
        script.kept = {s for s in walk(tape.statements) if not s.raised}
        if not same(script.run()):
            return None
    return script, deviation.comparison


def same_numbers(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Bit for bit, but for the bits of NaN."""
    return same_bits(
        x.detach().nan_to_num(7, torch.inf, -torch.inf), y.nan_to_num(7, torch.inf, -torch.inf)
    )


@contextmanager
def unrecorded_verdicts() -> Iterator[None]:
    """What is compared meanwhile has been counted before."""
    before = copy.deepcopy(vars(RECORD))
    try:
        yield
    finally:
        vars(RECORD).update(before)
