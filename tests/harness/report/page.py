"""The report as one page: a heat map of the matrix, the training curves, what failed and where."""

import base64
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from tests.harness.formats import FORMATS
from tests.harness.record import Tally
from tests.harness.report.terminal import seconds, tried, ulps

Paths = dict[str, Tally]  # by path
Section = dict[str, dict[str, Paths]]  # by output and dtype


def page(data: dict[str, Any], sensitivity: dict[str, Any] | None = None) -> str:
    """One self-contained HTML file: no script, no network."""
    loader = FileSystemLoader(Path(__file__).parent)
    templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    rows, timed = data["rows"], times(data["benchmarks"])
    runs, costs = pictures(data["curves"], timed)
    return templates.get_template("page.html").render(
        data=data,
        dtypes=[name for name in FORMATS if any(row["dtype"] == name for row in rows)],
        sections=sections(rows),
        runs=runs,
        costs=costs,
        whole=total(tally(row) for row in rows),
        sensitivity=sensitivity,
        total=total,
        colour=colour,
        histogram=histogram,
        tried=tried,
        ulps=ulps,
        download=download,
        times=timed,
        seconds=seconds,
    )


def sections(rows: list[dict[str, Any]]) -> dict[str, Section]:
    """Cells by heading, output, dtype and path."""
    grouped: dict[str, Section] = {}
    for row in rows:
        section = grouped.setdefault(f"{row['component']} on {row['device']}", {})
        paths = section.setdefault(row["output"], {}).setdefault(row["dtype"], {})
        paths[row["path"]] = tally(row)
    return grouped


def tally(row: dict[str, Any]) -> Tally:
    """A row as the run has counted it."""
    return Tally(
        examples=row["examples"],
        elements=row["elements"],
        vacuous=row["vacuous"] * row["examples"],
        worst_share=infinite(row["worst_share"]),
        worst_ulp=infinite(row["worst_ulp"]),
        deviations=row["deviations"],
        known=row["known"],
        shares=row["shares"],
    )


def infinite(number: float | None) -> float:
    return math.inf if number is None else number


def total(parts: Iterable[Tally]) -> Tally:
    whole = Tally()
    for part in parts:
        whole.add(part)
    return whole


def colour(cell: Tally) -> Markup:
    """A class, and how near it is to the bound: the style sheet makes a colour of both."""
    kind = "wrong" if cell.deviations else "known" if cell.known else "right"
    near = round(100 * min(cell.worst_share, 1.0))
    return Markup(f'class="cell {kind}" style="--near: {near}%"')


def histogram(cell: Tally) -> Markup:
    """A bar for each tenth of the bound, as high as the logarithm of how many came so near."""
    most = math.log1p(max(1, *cell.shares))
    tops = (f"V{4 - 4 * math.log1p(count) / most:.2f}h1" for count in cell.shares)
    told = f"comparisons in each tenth of the bound: {' '.join(map(str, cell.shares))}"
    return Markup(
        f'<svg class="bars" viewBox="0 0 10 4" preserveAspectRatio="none" role="img"'
        f' aria-label="{told}"><path d="M0 4{"".join(tops)}V4z"/></svg>'
    )


def pictures(
    curves: dict[str, Any], timed: dict[str, dict[str, dict[int, float]]]
) -> tuple[dict[str, list[tuple[str, Markup]]], dict[str, Markup]]:
    """Each training run's panels, and each group that was timed at several sizes.

    None without matplotlib, which takes a while to import.
    """
    several = {g: sides for g, sides in timed.items() if max(map(len, sides.values())) > 1}
    if not curves and not several:
        return {}, {}
    try:
        from tests.harness.report.charts import charts, costs
    except ImportError:
        return {}, {}
    runs = {run: list(charts(run, panels)) for run, panels in curves.items()}
    return runs, {group: costs(group, sides) for group, sides in several.items()}


def download(script: str) -> str:
    """An address that holds the script itself."""
    return f"data:text/x-python;base64,{base64.b64encode(script.encode()).decode()}"


def times(benchmarks: list[dict[str, Any]]) -> dict[str, dict[str, dict[int, float]]]:
    """Seconds by group, side and size."""
    grouped: dict[str, dict[str, dict[int, float]]] = {}
    for timed in benchmarks:
        sides = grouped.setdefault(timed["group"], {})
        sides.setdefault(timed["side"], {})[timed["size"]] = timed["seconds"]
    return grouped
