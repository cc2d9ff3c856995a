"""How the cost of verification grows: `python -m tests.benchmarks.growth`, about ten minutes.

With the number of examples, of parameters, of steps, of comparisons in one process, and of
workers. Writes GROWTH.md and growth.svg beside this file.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from matplotlib.figure import Figure
from tqdm import tqdm

from reference.adam import adam_step
from tests.harness.doors import side_doors
from tests.harness.profiles import EXAMPLES
from tests.harness.record import RECORD
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.meta.tables import command, commit, markdown

FOLDER = Path(__file__).parent
PARALLEL = ["tests/layers", "tests/losses", "tests/clipping", "tests/optimizers"]
WORKERS = [n for n in (1, 2, 4, 8, 16) if n <= (os.cpu_count() or 1)]


@dataclass
class Growth:
    """One curve: what it costs, by how much of it there is."""

    title: str
    x: str
    y: str
    points: list[tuple[float, float]] = field(default_factory=list)


def seconds(function: Callable[[], Any]) -> float:
    """Of the processor, so that what else runs here does not count."""
    start = time.process_time()
    function()
    return time.process_time() - start


def properties() -> dict[str, tuple[Any, Any]]:
    """Those of the benchmarks; they take the profile that is loaded when they are imported."""
    settings.load_profile("default")
    from tests.benchmarks.bench_harness import PROPERTIES

    return PROPERTIES


def examples() -> Iterator[tuple[float, float]]:
    prove, cases = properties()["linear"]
    body = prove.hypothesis.inner_test
    for count in (50, 100, 200, 400, 800, 1600):
        test = given(cases, side_doors)(lambda case, door: body(Targets(), case, door))
        yield count, seconds(settings(max_examples=count)(test))


def adam(size: int, steps: int) -> None:
    """Some steps, each held against the reference, that starts from torch's own state."""
    target = Target("cpu", "float32", "foreach")
    rounding = Rounding.kernel("float32")
    random = np.random.default_rng(size)
    param = torch.tensor(random.standard_normal(size, np.float32), requires_grad=True)
    opt = torch.optim.Adam([param], lr=1e-3, foreach=True)
    moments = [np.zeros(size), np.zeros(size)]
    for step in range(1, steps + 1):
        param.grad = torch.tensor(random.standard_normal(size, np.float32))
        before = (param.detach().double().numpy().copy(), param.grad.double().numpy(), *moments)
        opt.step()
        param_before, grad, exp_avg, exp_avg_sq = (rounding.array(x) for x in before)
        after = adam_step(param_before, grad, exp_avg, exp_avg_sq, step, lr=1e-3)
        state = opt.state[param]
        for name, expected in zip(("param", "exp_avg", "exp_avg_sq"), after[:3], strict=True):
            check("adam", name, target, state.get(name, param), rounding.stored(expected))
        moments = [state[name].double().numpy() for name in ("exp_avg", "exp_avg_sq")]


def parameters() -> Iterator[tuple[float, float]]:
    for size in (10**3, 10**4, 10**5, 10**6, 10**7, 3 * 10**7):
        yield size, seconds(lambda size=size: adam(size, 1))  # type: ignore[misc]


def steps() -> Iterator[tuple[float, float]]:
    for count in (10, 100, 1000, 10_000):
        yield count, seconds(lambda count=count: adam(1000, count))  # type: ignore[misc]


def memory(comparisons: float) -> Iterator[tuple[float, float]]:
    """The peak so far, in MB, while one process proves its properties again and again."""
    RECORD.tallies.clear()
    while (done := sum(tally.examples for tally in RECORD.tallies.values())) < comparisons:
        for prove, _ in properties().values():
            prove(Targets())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield max(1, done), peak / (1e6 if sys.platform == "darwin" else 1e3)


def workers(profile: str) -> Iterator[tuple[float, float]]:
    """Comparisons a second of the clock, start and end included."""
    for count in WORKERS:
        start = time.monotonic()
        options = ["-n", str(count), "--dist", "worksteal", "--hypothesis-profile", profile]
        command = [sys.executable, "-m", "pytest", "-q", *PARALLEL, *options]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        (line,) = (line for line in run.stdout.splitlines() if " comparisons of " in line)
        yield count, int(line.split()[0].replace(",", "")) / (time.monotonic() - start)


def measured(comparisons: float, profile: str) -> list[Growth]:
    """All curves, with progress."""
    cpu = "processor seconds"
    curves = [
        (Growth("Memory of one process", "comparisons", "peak MB"), memory(comparisons)),
        (Growth("Linear", "examples", cpu), examples()),
        (Growth("A step of Adam", "parameters", cpu), parameters()),
        (Growth("Adam, 1,000 parameters", "steps", cpu), steps()),
        (Growth(f"Profile {profile}", "workers", "comparisons / s"), workers(profile)),
    ]
    for growth, points in curves:
        for point in tqdm(points, growth.title, unit=f" sizes of {growth.x}"):
            growth.points.append(point)
    return [growth for growth, _ in curves]


def chart(curves: list[Growth]) -> Figure:
    figure = Figure(figsize=(3.2 * len(curves), 3), layout="constrained")
    for axes, growth in zip(figure.subplots(1, len(curves)), curves, strict=True):
        axes.loglog(*zip(*growth.points, strict=True), ".-")
        axes.set(title=growth.title, xlabel=growth.x, ylabel=growth.y)
        axes.set_ylim(
            bottom=0.5 * min(y for _, y in growth.points), top=2 * max(y for _, y in growth.points)
        )
        axes.grid(alpha=0.3)
    return figure


def page(curves: list[Growth], made_by: str) -> str:
    lines = [
        "# How the cost of verification grows",
        "",
        f"Made by `{made_by}` on {time.strftime('%Y-%m-%d')}, at commit {commit()},",
        f"with torch {torch.__version__} and NumPy {np.__version__}, on {os.cpu_count()} cores.",
        "",
        "![Cost over size, on logarithmic axes](growth.svg)",
    ]
    for growth in curves:
        first, *_, last = growth.points
        some = growth.points[:: max(1, len(growth.points) // 8)]
        some += [last] if some[-1] != last else []
        table = [(growth.x, growth.y), *((spoken(x), spoken(y)) for x, y in some)]
        lines += ["", f"## {growth.title}", "", markdown(table, words=0)]
        times = f"{spoken(last[0] / first[0])} times the {growth.x}"
        lines += ["", f"{times}, {spoken(last[1] / first[1])} times the {growth.y}."]
    return "\n".join(lines) + "\n"


def spoken(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--comparisons", type=float, default=1e5, help="of the one process")
    parser.add_argument("--profile", choices=EXAMPLES, default="soak", help="of the workers")
    options = parser.parse_args()
    curves = measured(options.comparisons, options.profile)
    chart(curves).savefig(FOLDER / "growth.svg", metadata={"Date": None})
    (FOLDER / "GROWTH.md").write_text(
        page(curves, command("tests.benchmarks.growth", sys.argv[1:])), "utf-8"
    )


if __name__ == "__main__":
    main()
