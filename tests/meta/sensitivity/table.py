"""The sensitivity of every row of the matrix, as a table."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from platform import python_version

from tests.harness.formats import FORMATS
from tests.meta.sensitivity.measure import JUDGES, TOLERANCES
from tests.meta.sensitivity.runs import Row, Sensitivity, Study
from tests.meta.tables import markdown

PAGE = """\
# How small an error is found

Written by

```sh
{command}
```

on {date}, at commit {commits}, with
{versions}.

In each of {runs} runs of the `default` profile on each kind of inputs (an MNIST epoch but once),
one element of each result was made wrong by k ulp, up or down, and the smallest k that is noticed
was looked for, by bisection.

- The number before the stroke is the smallest error that a **run** finds in 99 of 100 tries: in at
  least one of its examples it is beyond the bound, when it is in every one.
- The number behind it is harder: what is found in half of the **single** comparisons.
- *never*: not even an error as large as the number itself.

On inputs *as drawn*: all families of numbers, as in every run. On *general* ones: uniform numbers
with every digit. On *exact* ones: small integers, and of the results only those elements that no
operation rounds. Beside it, for the same elements, what `torch.allclose` and
`torch.testing.assert_close` need with their default tolerances; and how many of torch's sound
results (general inputs) they call wrong. Where terms cancel, an ulp of what remains is less than
the rounding errors of the terms: many ulp are no fault there, and go unnoticed.
{chart}
What it takes for a run to find it: in half of the outputs / in 9 of 10.

{summary}

## Every row

{rows}
{unmeasured}"""

ALT = "Chart: the share of outputs in which an error of one element is found, by its size"

HEADS = (
    *("output", "dtype", "comparisons", "as drawn"),
    *(f"{inputs}: {judge}" for inputs in ("general", "exact") for judge in JUDGES),
    *(f"{judge}: false alarms" for judge in TOLERANCES),
)


def rows(study: Study) -> Iterator[tuple[str, ...]]:
    """A line for each output and dtype, below the heads."""
    yield HEADS
    drawn, general, exact = study.found.values()
    for row in ordered(study):
        component, output, dtype = row
        yield (
            f"{component}: {output}",
            dtype,
            str(sum(rows[row].cases for rows in study.found.values() if row in rows)),
            both(study, drawn.get(row), "bound"),
            *(both(study, rows.get(row), judge) for rows in (general, exact) for judge in JUDGES),
            *(
                percent(found.alarms[judge], found.cases) if (found := general.get(row)) else ""
                for judge in TOLERANCES
            ),
        )


def ordered(study: Study) -> list[Row]:
    """The rows that were measured, each component's together, as in the matrix."""
    measured = {row for rows in study.found.values() for row in rows}
    components = list(dict.fromkeys(component for component, _, _ in study.rows))
    outputs = list(dict.fromkeys(row[:2] for row in study.rows))
    dtypes = list(FORMATS)
    return sorted(
        measured,
        key=lambda row: (components.index(row[0]), outputs.index(row[:2]), dtypes.index(row[2])),
    )


def both(study: Study, found: Sensitivity | None, judge: str) -> str:
    return (
        "" if found is None else f"{ulps(found.run(judge, study.runs))} / {ulps(found.case(judge))}"
    )


def ulps(k: float) -> str:
    if math.isinf(k):
        return "never"
    return f"{k:.0f}" if k < 10_000 else f"{k:.1e}".replace("e+0", "e").replace("e+", "e")


COLUMNS = {
    "as drawn: bound": ("drawn", "bound"),
    "general: bound": ("general", "bound"),
    "exact: bound": ("exact", "bound"),
    **{f"general: {judge}": ("general", judge) for judge in TOLERANCES},
}


def summary(study: Study) -> Iterator[tuple[str, ...]]:
    """For each dtype, what it takes in half of the outputs, and in 9 of 10."""
    heads = (f"{judge}: false alarms" for judge in TOLERANCES)
    yield ("dtype", "outputs", *COLUMNS, *heads)
    for dtype in FORMATS:
        cells = []
        for inputs, judge in COLUMNS.values():
            ks = least(study, inputs, judge, dtype)
            ranks = (math.ceil(share * len(ks)) - 1 for share in (0.5, 0.9))
            cells.append(" / ".join(ulps(ks[rank]) for rank in ranks) if ks else "")
        count = str(sum(row[2] == dtype for row in ordered(study)))
        alarms = (false_alarms(study, judge, dtype) for judge in TOLERANCES)
        yield (dtype, count, *cells, *alarms)


def false_alarms(study: Study, judge: str, dtype: str) -> str:
    """Of all sound results in a dtype, on general inputs."""
    found = [s for (_, _, name), s in study.found["general"].items() if name == dtype]
    return percent(sum(s.alarms[judge] for s in found), sum(s.cases for s in found))


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if part else "0"


def least(study: Study, inputs: str, judge: str, dtype: str) -> list[float]:
    """Of each output in a dtype, the smallest error that a run finds; in order."""
    found = study.found[inputs].items()
    return sorted(s.run(judge, study.runs) for (_, _, name), s in found if name == dtype)


def page(study: Study, command: str, chart: str | None) -> str:
    versions = (f"{name} {version(name)}" for name in ("torch", "numpy", "hypothesis"))
    unmeasured = ", ".join(f"{component}: {output}" for component, output in study.unmeasured)
    return PAGE.format(
        command=command,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        commits=", ".join(study.commits),
        versions=", ".join((*versions, f"Python {python_version()}")),
        runs=study.runs,
        chart=f"\n![{ALT}]({chart})\n" if chart else "",
        summary=markdown(summary(study), words=1),
        rows=markdown(rows(study), words=2),
        unmeasured=f"\nNot here, for want of an element that is right and not 0: {unmeasured}.\n"
        if unmeasured
        else "",
    )
