"""The verdict matrix and the closing lines, in plain text of at most 100 columns."""

from collections.abc import Iterable, Iterator
from textwrap import wrap

from tests.harness.formats import FORMATS
from tests.harness.record import Record, Tally

WIDTH, LABEL, CELL = 100, 24, 19

Section = dict[tuple[str, str], Tally]  # by output and dtype


def matrix(record: Record, by_path: bool = False) -> Iterator[str]:
    """A section for each component on a device, a line for each output, a column for each dtype.

    The paths of a component share a section: their tries add up, and the worst of them shows. By
    path, each has a section of its own; and so it has where one of them deviates.
    """
    dtypes = [name for name in FORMATS if any(dtype == name for _, dtype in record.tallies)]
    yield " " * LABEL + "".join(f"{dtype:>{CELL}}" for dtype in dtypes)
    yield " " * LABEL + f" {'tried':>5} {'/bound':>6} {'ulp':>5}" * len(dtypes)
    for heading, section in sections(record, by_path):
        yield from wrap(heading, WIDTH, subsequent_indent="    ")
        for output in dict.fromkeys(output for output, _ in section):
            label = f"  {output}"
            if len(label) > LABEL:  # a line of its own, so that the columns stay straight
                yield label
                label = ""
            cells = (cell(section.get((output, dtype))) for dtype in dtypes)
            yield f"{label:<{LABEL}}" + "".join(f"{text:>{CELL}}" for text in cells)


def sections(record: Record, by_path: bool) -> Iterator[tuple[str, Section]]:
    """Headings and what stands below them, in the order of the tests that fill them."""
    components: dict[tuple[str, str], dict[str, Section]] = {}
    for (row, dtype), tally in sorted(record.tallies.items(), key=lambda item: item[1].test):
        device, component, path, output = row
        paths = components.setdefault((component, device), {})
        paths.setdefault(path, {})[output, dtype] = tally
    for (component, device), paths in components.items():
        deviates = any(tally.deviations for path in paths.values() for tally in path.values())
        shown = paths if by_path or deviates else {", ".join(paths): together(paths.values())}
        for path, section in shown.items():
            where = "meta, without data" if device == "meta" else device
            yield f"{component} on {where} ({path})", section


def together(parts: Iterable[Section]) -> Section:
    whole: Section = {}
    for part in parts:
        for key, tally in part.items():
            whole.setdefault(key, Tally()).add(tally)
    return whole


def cell(tally: Tally | None) -> str:
    """Comparisons tried, the worst error as a share of the bound, and in ulp."""
    if tally is None:
        return "-"
    if tally.deviations:
        return "DEVIATES"
    if tally.known:
        return f"{tried(tally.examples)} {tally.known:>6} known"
    return f"{tried(tally.examples)} {tally.worst_share:6.3f} {ulps(tally.worst_ulp):>5}"


def properties(record: Record) -> Iterator[tuple[str, str]]:
    """A name and a value for each row and dtype, as JUnit XML has them."""
    for ((device, component, path, output), dtype), tally in record.tallies.items():
        counts = f"examples={tally.examples} elements={tally.elements}"
        worst = f"worst_share={tally.worst_share:.4g} worst_ulp={tally.worst_ulp:.4g}"
        wrong = f"deviations={tally.deviations} known={tally.known}"
        name = f"{component} on {device} ({path}), {output}, {dtype}"
        yield name, f"{counts} {worst} {wrong}"


def tried(count: int) -> str:
    return str(count) if count < 100_000 else f"{count // 1000}k"


def ulps(worst: float) -> str:
    """Cancellation makes errors of many ulp that are no fault; so large counts are rounded."""
    return f"{worst:.1f}" if worst < 999 else f"{worst:.0e}".replace("e+0", "e").replace("e+", "e")


def seconds(time: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if time >= size:
            return f"{time / size:.3g} {unit}"
    return f"{time * 1e6:.3g} µs"


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
    for known, (agree, deviate) in record.ledger.items():
        yield f"known deviation: {known}, in {deviate:,} of {agree + deviate:,} comparisons"
    for text in record.notes:
        yield f"not verified: {text}"
