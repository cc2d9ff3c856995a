"""Two reports held against each other: what changed between machines, versions or devices."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from tests.harness.report.files import ReportError

NEAR, CHANCE, BLINDER, SLOWER = 5, 5, 0.1, 1.5
FAILING, FAILED, DEVIATING = "rows newly failing", "tests newly failing", "deviations appeared"
REGRESSIONS = (FAILING, FAILED, DEVIATING)
RULES = (
    f"Any of {', '.join(REGRESSIONS)} is a regression: exit status 1. A bound is approached where"
    f" more comparisons lie beyond {NEAR} tenths of it, or beyond more, than {CHANCE} standard"
    f" errors explain. A bound says less where the share of vacuous elements rose by {BLINDER} or"
    f" more. Times are told from {SLOWER} times on. Where each run had one device, rows are"
    " compared across devices."
)

Row = dict[str, Any]


def compare(old: Row, new: Row) -> dict[str, list[str]]:
    """Lines of text by kind of change, regressions first; kinds without any are left out.

    Raises ReportError where a report does not have what its schema says.
    """
    try:
        changes = dict(changed(old, new))
    except (AttributeError, KeyError, TypeError) as error:
        raise ReportError(f"not as schema.json says: {error!r}") from error
    return {title: lines for title, lines in changes.items() if lines}


def changed(old: Row, new: Row) -> Iterator[tuple[str, list[str]]]:
    before, now = by_name(old), by_name(new)
    both = [name for name in now if name in before]
    failing = {name for name in now if now[name]["deviations"]}
    failed = {name for name in before if before[name]["deviations"]}
    yield FAILING, [f"{name}{share(now[name])}" for name in now if name in failing - failed]
    tests_before, tests_now = ({f["test"]: f["message"] for f in x["failures"]} for x in (old, new))
    yield FAILED, [f"{x}: {first_line(tests_now[x])}" for x in tests_now if x not in tests_before]
    yield DEVIATING, list(deviating(new, old))
    yield "deviations gone", list(deviating(old, new))
    yield "rows fixed", [name for name in both if name in failed - failing]
    yield "tests fixed", [test for test in tests_before if test not in tests_now]
    yield "rows failing as before", [name for name in now if name in failed & failing]
    yield (
        "bounds approached",
        [
            f"{name}{share(before[name])} ->{share(now[name])}"
            for name in both
            if name not in failing and approached(before[name], now[name])
        ],
    )
    yield (
        "bounds that say less",
        [
            f"{name} {100 * before[name]['vacuous']:.0f} -> {100 * now[name]['vacuous']:.0f} %"
            for name in both
            if now[name]["vacuous"] - before[name]["vacuous"] >= BLINDER
        ],
    )
    yield "rows gone", grouped(before[name] for name in before if name not in now)
    yield "rows new", grouped(now[name] for name in now if name not in before)
    yield "environment", list(settings(old, new))
    yield "not verified any more", minus(new["not_verified"], old["not_verified"])
    yield "verified now", minus(old["not_verified"], new["not_verified"])
    yield "speed", [*pace(old, new), *times(old, new)]


def by_name(report: Row) -> dict[str, Row]:
    several = len(report["environment"]["devices"]) > 1
    return {
        f"{row['component']}{' on ' + row['device'] if several else ''} ({row['path']}),"
        f" {row['output']}, {row['dtype']}": row
        for row in report["rows"]
    }


def share(row: Row) -> str:
    worst = row["worst_share"]
    return " infinite" if worst is None else f" {worst:.3g}"


def approached(before: Row, now: Row) -> bool:
    """Whether more comparisons lie beyond some tenth of the bound than chance explains.

    Of n1 and n2 comparisons a share p lies beyond it in all; if nothing changed, the two shares
    differ by sqrt(p (1 - p) (1/n1 + 1/n2)) or so.
    """
    n1, n2 = sum(before["shares"]), sum(now["shares"])
    for tenth in range(NEAR, 10):
        k1, k2 = sum(before["shares"][tenth:]), sum(now["shares"][tenth:])
        p = (k1 + k2) / max(1, n1 + n2)
        if 0 < p < 1 and n1 and n2:
            chance = math.sqrt(p * (1 - p) * (1 / n1 + 1 / n2))
            if k2 / n2 - k1 / n1 > CHANCE * chance:
                return True
    return False


def first_line(text: str) -> str:
    return text.partition("\n")[0]


def deviating(report: Row, other: Row) -> Iterator[str]:
    """What is known to deviate and did in the one, but not in the other, which looked, too."""
    ids = {known["id"] for known in other["known_deviations"] if known["deviate"]}
    for known in report["known_deviations"]:
        looked = any(
            row["component"] == known["component"]
            and row["output"] in known["outputs"]
            and row["dtype"] in known["dtypes"]
            and row["path"] in known["paths"]
            for row in other["rows"]
        )
        if known["deviate"] and known["id"] not in ids and looked:
            yield f"{known['id']}: torch {known['torch_does']} ({known['upstream']})"


def grouped(rows: Iterable[Row]) -> list[str]:
    """How many, by component and device."""
    counts: dict[str, int] = {}
    for row in rows:
        name = f"{row['component']} on {row['device']}"
        counts[name] = counts.get(name, 0) + 1
    return [f"{name}: {count}" for name, count in counts.items()]


def settings(old: Row, new: Row) -> Iterator[str]:
    """Versions, processors, switches and the profile, where they differ."""
    before, now = (
        x["environment"] | x["switches"] | {"profile": x["run"]["profile"]} for x in (old, new)
    )
    for name in before | now:
        if before.get(name) != now.get(name):
            yield f"{name}: {before.get(name)} -> {now.get(name)}"


def minus(these: list[str], those: list[str]) -> list[str]:
    return [line for line in these if line not in those]


def pace(old: Row, new: Row) -> Iterator[str]:
    """Comparisons in a second, where the runs did about the same."""
    before, now = (sum(row["examples"] for row in x["rows"]) for x in (old, new))
    if before and now and 0.9 < now / before < 1.1:
        speeds = [n / max(x["run"]["seconds"], 0.1) for n, x in ((before, old), (now, new))]
        yield f"comparisons in a second: {speeds[0]:.0f} -> {speeds[1]:.0f}"


def times(old: Row, new: Row) -> Iterator[str]:
    before, now = (
        {f"{b['group']}, {b['side']}, {b['size']}": b["seconds"] for b in x["benchmarks"]}
        for x in (old, new)
    )
    for name in now:
        if name in before:
            ratio = now[name] / before[name]
            if ratio > SLOWER or ratio < 1 / SLOWER:
                yield f"{name}: {ratio:.2f} times as long"
