"""The curves of training runs and of costs, drawn into the page by matplotlib."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

Lines = dict[str, list[float | None]]

POINTS = 150  # of a line; each stands for as many steps as that takes
INK = "#010203"  # stands for the colour of the page's text, in whatever light it is read
COLOURS = ("#2f7ed8", "#d9660a", "#1a9850", "#a05fd0", "#c2185b", "#7a7a00")
STYLES = ("-", "--", "-.", ":")
FONT = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
STYLE: dict[Any, Any] = {
    **dict.fromkeys(FONT, INK),
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def charts(run: str, panels: dict[str, Lines]) -> Iterator[tuple[str, Markup]]:
    """Each panel's title and picture; all share the number of steps."""
    steps = max((len(x) for lines in panels.values() for x in lines.values()), default=0)
    for panel, lines in panels.items():
        yield panel, chart(run, panel, lines, steps)


def chart(run: str, panel: str, lines: Lines, steps: int) -> Markup:
    told = f"{panel} of {run}: {'; '.join(f'{name} {ends(x)}' for name, x in lines.items())}"
    with pictured(told) as (axes, svg):
        for (name, numbers), style in zip(lines.items(), styles(), strict=False):
            x, y = thinned(numbers, steps, worst="bound" in panel)
            axes.plot(x, y, label=name, **style)
        if "%" not in panel and any(number and number > 0 for x in lines.values() for number in x):
            axes.set_yscale("log")
        if "bound" in panel:
            axes.axhline(1, color="#e5484d", linewidth=1)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    return svg[0]


def costs(group: str, sides: dict[str, dict[int, float]]) -> Markup:
    """The time of one thing over its size, a line for each side."""
    with pictured(f"seconds of {group}, by size: {sides}") as (axes, svg):
        for (side, times), style in zip(sides.items(), styles(), strict=False):
            axes.loglog(list(times), list(times.values()), marker=".", label=side, **style)
    return svg[0]


def styles() -> Iterator[dict[str, Any]]:
    """Lines that are told apart in grey, too."""
    pairs = zip(cycle(COLOURS), cycle(STYLES), strict=False)
    return ({"color": colour, "linestyle": style, "linewidth": 1.4} for colour, style in pairs)


@contextmanager
def pictured(told: str) -> Iterator[tuple[Axes, list[Markup]]]:
    """Axes to draw on, and the picture that they become at the end."""
    pictures: list[Markup] = []
    with mpl.rc_context(STYLE | {"svg.hashsalt": told}):
        figure = Figure(figsize=(4.6, 2.3), layout="constrained")
        axes = figure.add_subplot()
        yield axes, pictures
        axes.grid(alpha=0.15, color=INK)
        figure.legend(loc="outside upper left", fontsize=8, ncols=3)
        with io.StringIO() as file:
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
            svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    pictures.append(Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(told)}"', 1)))


def thinned(
    numbers: list[float | None], steps: int, worst: bool
) -> tuple[list[float], list[float]]:
    """The mean, or the worst, of so many neighbours that `POINTS` are left."""
    width = max(1, math.ceil(len(numbers) / POINTS))
    values = np.array(numbers, float)
    parts = [values[i : i + width] for i in range(0, len(values), width)]
    y = [float(part.max() if worst else part.mean()) for part in parts]
    each = steps / max(1, len(values))  # steps from one number to the next
    return [min(len(values), (i + 1) * width) * each for i in range(len(parts))], y


def ends(numbers: list[float | None]) -> str:
    first, last = (numbers[0], numbers[-1]) if numbers else (None, None)
    return f"from {first} to {last}"
