"""What a comparison costs, and where the time goes: `python -m tests.meta.cost [TEXT]`.

Each property that is held against the reference (all, or those whose name contains TEXT) runs in
the default profile. The yardstick is its *bare loop*, in the same process right after it: the same
calls of torch on the same tensors, and the same formulas of the reference in plain NumPy, recorded
while the property ran; without Hypothesis, bounds and comparison. Formulas that a property
evaluates once for several paths count once there, too. Times are CPU milliseconds for one
comparison of two arrays, medians of several rounds with other examples; a part's share is counted
by samples of the stack. Last come three claims as they are ordinarily written (`ordinary.py`).
"""

import importlib
import inspect
import signal
import statistics
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from tests.harness import doors, profiles  # noqa: F401
from tests.harness.record import RECORD
from tests.harness.rounded import Rounded
from tests.harness.targets import Target, Targets
from tests.harness.verdict import Deviation
from tests.optimizers import life, verify
from tests.optimizers.events import Step
from tests.optimizers.gradients import is_expanded
from tests.optimizers.history import History
from tests.optimizers.known_faults import fused_sgd_stops, rate_of_zero_is_nan
from tests.optimizers.life import Life
from tests.optimizers.moments import Moment

ROOT = Path(__file__).parents[2]
ORDINARY = "tests.meta.ordinary"
FOLDERS = ("layers", "losses", "clipping", "optimizers", "second_order")
CALLS_OF_TORCH: tuple[Any, ...] = (doors.gradients, doors.movements)
CLIPPING = "torch.nn.utils.clip_grad"
ROUNDS = 3
Call = Callable[[], Any]

PARTS = {
    "drawing": ("/hypothesis/", "/tests/harness/strategies/", "/tests/optimizers/history.py"),
    "comparison": ("/verdict.py", "/comparison.py", "/record.py", "/deviations.py"),
    "bound": ("/rounded.py", "/rounding.py", "/propagation/", "/formats.py", "/dual.py"),
    "reference": ("/reference/",),
    "torch": ("/torch/", "/doors.py", "/optimizers/life.py", "/optimizers/gradients.py"),
}
"""By the innermost file of the stack that is named here; the rest is the property's own."""


def properties(text: str) -> Iterator[tuple[str, Callable[..., None]]]:
    """Those that need no fixture but the targets."""
    files = (file for name in FOLDERS for file in sorted((ROOT / "tests" / name).glob("test_*.py")))
    for module in (*(f"tests.{file.parent.name}.{file.stem}" for file in files), ORDINARY):
        for name, function in list(vars(importlib.import_module(module)).items()):
            if not (inspect.isfunction(function) and hasattr(function, "hypothesis")):
                continue
            if list(inspect.signature(function).parameters) == ["targets"] and text in name:
                yield name.removeprefix("test_"), function


@contextmanager
def sampled(parts: Counter[str]) -> Iterator[None]:
    """Count, every millisecond of CPU time, which part of the suite is at work."""

    def sample(signum: int, frame: types.FrameType | None) -> None:
        while frame:
            file = frame.f_code.co_filename
            for part, names in PARTS.items():
                if any(name in file for name in names):
                    parts[part] += 1
                    return
            frame = frame.f_back
        parts["property"] += 1

    # Else torch.compile, which may be at work when a signal comes, would compile it.
    before = signal.signal(signal.SIGPROF, torch.compiler.disable(sample))
    signal.setitimer(signal.ITIMER_PROF, 1e-3, 1e-3)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def plain(x: Any) -> Any:
    """What the formula is given where nothing tracks rounding: arrays of float64."""
    if isinstance(x, Rounded):
        return x.value
    if isinstance(x, list | tuple):
        return type(x)(map(plain, x))
    return x


@contextmanager
def recording(torch_calls: list[Call], formulas: list[Call]) -> Iterator[None]:
    """Note the calls of torch and of the reference that a property makes."""

    def noted(function: Any, calls: list[Call], reads: Callable[[Any], Any]) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            given = [reads(x) for x in args]
            named = {name: reads(x) for name, x in options.items()}
            result = function(*args, **options)  # which may refuse, and then is not called again
            calls.append(lambda: function(*given, **named))
            return result

        return call

    def compared(lived: Life, structure: Any, routes: Any, expected: Any) -> None:
        torch_calls.append(partial(relived, lived, structure, routes))
        compare(lived, structure, routes, expected)

    with pytest.MonkeyPatch.context() as patch:
        compare = verify.compare
        patch.setattr(verify, "compare", compared)
        for module in [m for name, m in sys.modules.items() if name.startswith("tests.")]:
            for name, value in list(vars(module).items()):
                if not inspect.isfunction(value) or module in {doors, sys.modules[__name__]}:
                    continue
                clips = value.__module__ == CLIPPING and "clipping" in module.__name__
                if value in CALLS_OF_TORCH or clips:
                    patch.setattr(module, name, noted(value, torch_calls, lambda x: x))
                elif value.__module__.startswith("reference."):
                    patch.setattr(module, name, noted(value, formulas, plain))
        yield


def relived(lived: Life, structure: list[Moment], routes: dict[str, list[Target]]) -> None:
    """An optimizer's life once more, and nothing looked at."""
    dtypes = list(dict.fromkeys(member.began for member in lived.members))
    path = lived.members[0].target.path
    life = Life(lived.component, lived.optimizer, lived.history, lived.device, path, dtypes)
    for number, (event, moment) in enumerate(zip(life.history.events, structure, strict=True)):
        if fused_sgd_stops(life, moment) or rate_of_zero_is_nan(life, moment):
            break
        life.live(event, moment, {dtype: route[number] for dtype, route in routes.items()})


def written_apart(life: Life, given: Any, moment: Moment) -> None:
    """What the check of the gradients also does, so that others can be added to them."""
    for param in life.params:
        if param.grad is not None and is_expanded(param.grad):
            param.grad = param.grad.contiguous()


def remembered(grads: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The gradients of a history's step, drawn once."""
    drawn: dict[tuple[int, str], np.ndarray] = {}

    def recalled(history: History, step: Step, dtype: str) -> np.ndarray:
        key = id(step), dtype
        if key not in drawn:
            drawn[key] = grads(history, step, dtype)
        return drawn[key]

    return recalled


def measured(calls: list[Call]) -> float:
    """CPU milliseconds."""
    start = time.process_time()
    for call in calls:
        call()
    return 1e3 * (time.process_time() - start)


def cost(function: Callable[..., None], parts: Counter[str]) -> tuple[float, float, float]:
    """Milliseconds a comparison: of the property, and of its torch and formulas alone."""
    run = partial(function, targets=Targets())
    RECORD.tallies.clear()
    with sampled(parts):
        whole = measured([run])
    comparisons = sum(tally.examples for tally in RECORD.tallies.values())
    torch_calls: list[Call] = []
    formulas: list[Call] = []
    RECORD.tallies.clear()
    with recording(torch_calls, formulas):
        run()
    recorded = sum(tally.examples for tally in RECORD.tallies.values())
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "grads", remembered(History.grads))
        patch.setattr(life, "check_untouched", written_apart)
        for calls in (torch_calls, formulas):  # once to warm up, and so that gradients are drawn
            measured(calls)
        bare = measured(torch_calls) / recorded, measured(formulas) / recorded
    return whole / comparisons, *bare


def main() -> None:
    settings.load_profile("default")
    torch.set_num_threads(1)
    print(
        f"{'ms a comparison':<70} whole  torch  NumPy  ratio   " + "  ".join((*PARTS, "property"))
    )
    for name, function in properties(" ".join(sys.argv[1:])):
        parts: Counter[str] = Counter()
        RECORD.tallies.clear()
        try:
            function(targets=Targets())  # once to warm up
            if not RECORD.tallies:
                continue
            rounds = [cost(function, parts) for _ in range(ROUNDS)]
        except Deviation as deviation:
            print(f"{name:<70} {str(deviation).partition(chr(10))[0]}", flush=True)
            continue
        whole, *bare = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = f"{whole / sum(bare):6.1f}" if bare[0] else "     -"
        shares = "  ".join(
            f"{100 * parts[part] / parts.total():{len(part) - 2}.0f} %"
            for part in (*PARTS, "property")
        )
        print(
            f"{name:<70} {whole:5.2f} {bare[0]:6.3f} {bare[1]:6.3f} {ratio}   {shares}", flush=True
        )


if __name__ == "__main__":
    main()
