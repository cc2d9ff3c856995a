"""What was timed, as a table of ratios."""

from collections.abc import Iterable, Iterator

from tests.harness.record import Benchmark
from tests.harness.report.terminal import seconds

TORCH = "torch"


def ratios(benchmarks: Iterable[Benchmark]) -> Iterator[str]:
    """A line for each group and side; for each size, torch's time and the multiple of it."""
    times = {(b.group, b.side, b.size): b.seconds for b in benchmarks}
    for group in dict.fromkeys(group for group, _, _ in times):
        sides = dict.fromkeys(side for named, side, _ in times if named == group)
        for side in sides:
            sizes = [size for g, s, size in times if (g, s) == (group, side)]
            cells = (cell(times, group, side, size) for size in sizes)
            yield f"{group if side == next(iter(sides)) else '':<32}{side:<20}" + "".join(cells)


def cell(times: dict[tuple[str, str, int], float], group: str, side: str, size: int) -> str:
    time = times[group, side, size]
    torch = times.get((group, TORCH, size))
    text = seconds(time) if side == TORCH or torch is None else f"{time / torch:.1f} x"
    return f"{size:>7}: {text:>8}"
