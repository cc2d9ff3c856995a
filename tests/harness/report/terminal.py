"""The verdict matrix and the closing lines, in plain text of at most 100 columns."""

from collections.abc import Iterator

from tests.harness.formats import FORMATS
from tests.harness.verdict import Record, Tally

LABEL, CELL = 19, 20


def matrix(record: Record) -> Iterator[str]:
    """One line for each output of a component on a path, one column for each dtype."""
    dtypes = [name for name in FORMATS if any(dtype == name for _, dtype in record.tallies)]
    yield " " * LABEL + "".join(f"{dtype:>{CELL}}" for dtype in dtypes)
    yield " " * LABEL + f"{'tried  /bound    ulp':>{CELL}}" * len(dtypes)
    section = None
    for row in dict.fromkeys(row for row, _ in record.tallies):
        device, component, path, output = row
        if section != (section := (device, component, path)):
            yield f"{component} ({path}, {device})"
        cells = (record.tallies.get((row, dtype)) for dtype in dtypes)
        yield f"  {output:<{LABEL - 2}}" + "".join(f"{cell(tally):>{CELL}}" for tally in cells)


def cell(tally: Tally | None) -> str:
    """Examples tried, the worst error as a share of the bound, and in ulp."""
    if tally is None:
        return "-"
    if tally.deviations:
        return "DEVIATES"
    return f"{tally.examples}  {tally.worst_share:.3f} {ulps(tally.worst_ulp):>6}"


def ulps(worst: float) -> str:
    """Cancellation makes errors of many ulp that are no fault; so large counts are rounded."""
    return f"{worst:.1f}" if worst < 1000 else f"{worst:.0e}".replace("e+0", "e").replace("e+", "e")


def closing(record: Record, seconds: float) -> Iterator[str]:
    """How much was verified, and what was not."""
    total = Tally()
    for tally in record.tallies.values():
        total.add(tally)
    vacuous = 100 * total.vacuous / max(1, total.examples)
    yield (
        f"{total.examples:,} comparisons of {total.elements:,} elements in {seconds:.0f} s;"
        f" {vacuous:.2f} % vacuous (the bound says nothing)"
    )
    for text in record.notes:
        yield f"not verified: {text}"
