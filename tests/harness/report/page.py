"""The report as one page: a heat map of the matrix, the training curves, what failed and where."""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from tests.harness.formats import FORMATS
from tests.harness.report.terminal import tried, ulps

WINDOW = 25  # steps that a training curve is averaged over


def page(data: dict[str, Any]) -> str:
    """One self-contained HTML file: no script, no network."""
    loader = FileSystemLoader(Path(__file__).parent)
    templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return templates.get_template("page.html").render(
        data=data,
        dtypes=[name for name in FORMATS if any(row["dtype"] == name for row in data["rows"])],
        sections=sections(data["rows"]),
        charts={name: chart(lines) for name, lines in data["curves"].items()},
        comparisons=sum(row["examples"] for row in data["rows"]),
        elements=sum(row["elements"] for row in data["rows"]),
        colour=colour,
        tried=tried,
        ulps=lambda worst: "" if worst is None else ulps(worst),
    )


def sections(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Rows by heading, output and dtype."""
    grouped: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for row in rows:
        heading = f"{row['component']} on {row['device']} ({row['path']})"
        grouped.setdefault(heading, {}).setdefault(row["output"], {})[row["dtype"]] = row
    return grouped


def colour(row: dict[str, Any]) -> str:
    """From white, where torch is exact, to blue at the bound; red beyond it; yellow if known."""
    if row["deviations"]:
        return "#e5484d"
    if row["known"]:
        return "#f5d90a"
    lightness = 100 - 45 * min(row["worst_share"] or 0.0, 1.0)
    return f"hsl(210 90% {lightness:.0f}%)"


def chart(lines: dict[str, list[float]]) -> Markup:
    """The loss at each step, averaged over a few, on a logarithmic scale."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "backproof", "font.size": 9}):
        figure = Figure(figsize=(7, 2.8), layout="constrained")
        axes = figure.add_subplot()
        for (name, losses), style in zip(lines.items(), ("-", "--", ":", "-."), strict=False):
            window = min(WINDOW, len(losses))
            if window:
                smooth = np.convolve(losses, np.full(window, 1 / window), mode="valid")
                axes.plot(np.arange(window, len(losses) + 1), smooth, style, label=name)
        axes.set(xlabel="step", ylabel=f"loss, mean of {WINDOW} steps", yscale="log")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
        with io.StringIO() as file:
            figure.savefig(file, format="svg", metadata={"Date": None})
            svg = file.getvalue()
    return Markup(svg[svg.index("<svg") :])
