"""What a comparison costs, and where the time goes: `python -m tests.meta.cost [TEXT]`.

Every property that holds a component against its reference (or those whose name contains TEXT) is
measured. The yardstick is its *bare loop*, in the same process right after it: the same calls of
torch on the same numbers in the same layouts, and the same formulas of the reference in plain
NumPy, recorded while the property ran; without Hypothesis, bounds and comparison. What a property
evaluates once for several paths counts once there, too. Times are CPU milliseconds for one
comparison of two arrays in the default profile, medians of several rounds with other examples, each
of all components: first by function and module alone, then through every door (of which compiling
and exporting take the longest, here and there). A part's share is counted by samples of the stack.
The last line is of all that was measured together, with the doors that a run has.
"""

import importlib
import re
import signal
import statistics
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from inspect import isfunction, isgenerator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import seed, settings
from torch.nn.utils import clip_grad_value_

from tests.clipping.gradients import Gradients
from tests.harness import doors, profiles  # noqa: F401
from tests.harness.record import RECORD
from tests.harness.rounded import Rounded
from tests.harness.strategies import arrays
from tests.harness.targets import Target, Targets
from tests.initialization.draws import drawn_with
from tests.losses.cases import Labels
from tests.optimizers import life, verify
from tests.optimizers.gradients import is_expanded
from tests.optimizers.known_faults import fused_sgd_stops, rate_of_zero_is_nan
from tests.optimizers.life import Life
from tests.optimizers.moments import Moment

ROOT = Path(__file__).parents[1]
FOLDERS = ("layers", "losses", "clipping", "initialization", "optimizers", "second_order")
CLAIMS = re.compile(
    "equal_the_reference|_as_the_reference_does|where_the_input|over_their_norm|cut_off"
    "|numbers_up_to_its_limit|ordinarily"
)
"""What holds a component against its reference; and the ordinary style, see `ordinary.py`."""

ROUNDS = 3

PARTS = {
    "torch": ("/torch/", "/doors.py", "/layouts.py", "/optimizers/life.py", "/gradients.py"),
    "drawing": ("/strategies/", "cases.py", "/optimizers/history.py"),
    "comparison": ("/verdict.py", "/comparison.py", "/border.py", "/record.py", "/deviations.py"),
    "bound": ("/rounded.py", "/rounding.py", "/propagation/", "/formats.py", "/dual.py"),
    "reference": ("/reference/",),
    "property": ("/tests/",),
    "Hypothesis": ("/hypothesis/",),
}
"""By the innermost file of the stack that is named here, in one of its names."""

Call = Callable[[], Any]


class Times(NamedTuple):
    """Milliseconds of a property, of its calls of torch and of its formulas; what it compared."""

    whole: float
    torch: float
    formulas: float
    comparisons: int


@dataclass(frozen=True)
class Eager(Targets):
    """By function and module alone, where there are other doors."""

    def by_dtype(self, *paths: str) -> Iterator[tuple[str, list[Target]]]:
        others = {"vjp", *doors.SIDE_DOORS}
        return super().by_dtype(*(path for path in paths if path not in others))


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

    def noted(function: Any, calls: list[Call], again: Any, reads: Any = lambda x: x) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            args = tuple(list(x) if isgenerator(x) else x for x in args)
            given = [reads(x) for x in args]
            named = {name: reads(x) for name, x in options.items()}
            before = len(calls)
            result = function(*args, **options)  # which may refuse, and then is not called again
            del calls[before:]  # what it called itself will be called with it
            calls.append(partial(again, *given, **named))
            return result

        return call

    # Imported before the profile is loaded, these properties would be those of Hypothesis' own.
    from tests.clipping import test_clip_grad_norm, test_clip_grad_value
    from tests.initialization import test_defaults

    with pytest.MonkeyPatch.context() as patch:
        for owner, name, again in (
            (verify, "compare", relived),
            (test_clip_grad_norm, "clip", clipped),
            (test_clip_grad_value, "clip_grad_value_", clip_grad_value_),
            (Gradients, "parameters", Gradients.parameters),
            (arrays.DrawnArray, "tensor", arrays.DrawnArray.tensor),
            (Labels, "tensor", Labels.tensor),
            (test_defaults, "linear", test_defaults.linear),
        ):
            patch.setattr(owner, name, noted(getattr(owner, name), torch_calls, again))
        numbers = noted(drawn_with, formulas, drawn_once)
        patch.setattr(test_defaults, "drawn_with", numbers)
        for module in [m for name, m in sys.modules.items() if name.startswith("tests.")]:
            for name, value in list(vars(module).items()):
                if not isfunction(value) or module in {doors, sys.modules[__name__]}:
                    continue
                if value is doors.gradients:
                    patch.setattr(module, name, noted(value, torch_calls, called))
                elif value is doors.movements:
                    patch.setattr(module, name, noted(value, torch_calls, value))
                elif value.__module__.startswith("reference."):
                    patch.setattr(module, name, noted(value, formulas, value, plain))
        yield


def called(
    target: Target,
    function: doors.Function,
    inputs: doors.Tensors,
    grad_output: torch.Tensor,
    module: doors.MakeModule | None = None,
    frozen: Any = (),
) -> None:
    """Value and gradients, by the function without what `doors.gradients` checks."""
    if target.path != "functional":
        doors.gradients(target, function, inputs, grad_output, module, frozen)
        return
    leaves = {
        n: x.detach().requires_grad_(x.is_floating_point() and n not in frozen)
        for n, x in inputs.items()
    }
    output = function(*leaves.values())
    if output.requires_grad:
        output.backward(grad_output)


def drawn_once(parameter: float, draw: Callable[[float], np.ndarray], target: Target) -> None:
    """The numbers alone: where a layer starts at random, what is drawn for it is the formula."""
    draw(parameter)


def clipped(target: Target, case: Any, parameters: list[torch.Tensor]) -> None:
    """Once more; infinities have become NaN in the meantime."""
    from tests.clipping import test_clip_grad_norm

    case = replace(case, error_if_nonfinite=False)
    test_clip_grad_norm.clip(target, case, parameters)


def relived(
    lived: Life, structure: list[Moment], routes: dict[str, list[Target]], expected: Any
) -> None:
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


def measured(calls: list[Call]) -> float:
    """CPU milliseconds."""
    start = time.process_time()
    for call in calls:
        call()
    return 1e3 * (time.process_time() - start)


def cost(run: Call) -> Times:
    """Of one run of a property, and of its torch and formulas alone."""
    torch_calls: list[Call] = []
    formulas: list[Call] = []
    with recording(torch_calls, formulas):
        run()  # and so everything is warm
    RECORD.tallies.clear()
    whole = measured([run])
    comparisons = sum(tally.examples for tally in RECORD.tallies.values())
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(life, "check_untouched", written_apart)
        patch.setattr(arrays, "tensor_of", cache(arrays.tensor_of.__wrapped__))
        for calls in (torch_calls, formulas):  # once so that numbers are drawn
            measured(calls)
        bare = measured(torch_calls), measured(formulas)
    return Times(whole, *bare, comparisons)


def properties(text: str) -> Iterator[tuple[str, bool, Callable[..., None]]]:
    """Name, whether it has doors, and the property."""
    files = [file for name in FOLDERS for file in sorted((ROOT / name).glob("test_*.py"))]
    for file in (*files, ROOT / "meta" / "ordinary.py"):
        module = importlib.import_module(f"tests.{file.parent.name}.{file.stem}")
        for name, function in list(vars(module).items()):
            if CLAIMS.search(name) and text in name and hasattr(function, "hypothesis"):
                yield name.removeprefix("test_"), hasattr(module, "side_doors"), function


def columns(rounds: list[Times]) -> str:
    """Medians of milliseconds a comparison, and the ratio to the bare loop."""
    if not rounds:
        return " " * 29
    whole, torch_alone, formulas = (
        statistics.median(times[i] / times.comparisons for times in rounds) for i in range(3)
    )
    ratio = whole / (torch_alone + formulas)
    return f"{whole:7.3f} {torch_alone:6.3f} {formulas:6.3f} {ratio:6.1f} "


def main() -> None:
    settings.register_profile("cost", settings.get_profile("default"), database=None)
    settings.load_profile("cost")
    torch.set_num_threads(1)
    found = list(properties(" ".join(sys.argv[1:])))
    times: dict[tuple[str, bool], list[Times]] = {}
    for number in range(ROUNDS):
        for name, has_doors, function in found:
            for through_doors in (False, True)[: 1 + has_doors]:
                targets = Targets() if through_doors else Eager()
                run = partial(seed(number)(function), targets=targets)
                times.setdefault((name, through_doors), []).append(cost(run))
    print(f"{'ms a comparison':<72} by function and module    through every door       the parts")
    bare = f"{'whole':>7} {'torch':>6} {'NumPy':>6} {'ratio':>6} "
    print(f"{'':<72}{bare}{bare}  {'  '.join(PARTS)}")
    for name, _, function in found:
        parts: Counter[str] = Counter()
        with sampled(parts):
            function(targets=Eager())
        shares = "  ".join(
            f"{100 * parts[part] / parts.total():{len(part) - 2}.0f} %" for part in PARTS
        )
        both = columns(times[name, False]) + columns(times.get((name, True), []))
        print(f"{name:<72}{both}  {shares}", flush=True)
    default = [
        rounds
        for (name, through_doors), rounds in times.items()
        if (through_doors or (name, True) not in times) and not name.endswith("ordinarily")
    ]
    total = [Times(*map(sum, zip(*run, strict=True))) for run in zip(*default, strict=True)]
    print(f"{'all of them, as the default profile has them':<72}{columns([])}{columns(total)}")


if __name__ == "__main__":
    main()
