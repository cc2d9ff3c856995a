"""What a soak came to: on the terminal in brief, as a page in full."""

from collections.abc import Iterator
from datetime import UTC, datetime

from tests.harness.formats import FORMATS
from tests.harness.record import Tally
from tests.harness.report.terminal import closing
from tests.meta.soak.rounds import Setting, Soak
from tests.meta.tables import aligned, markdown

HEIGHTS = "▁▂▃▄▅▆▇█"
LABEL, CELL = 24, 19
Soaks = dict[Setting, Soak]

PAGE = """\
# A soak: does the suite cry wolf?

Written by

```sh
{command}
```

on {date}, at commit {commits}, with
{versions}.

All properties ran again and again, each round with a fresh seed: first on one thread, then with
one thing changed at a time. An alarm is a comparison beyond its bound that
`tests/deviations/ledger.toml` does not know.

## Settings

{settings}

Shares are of the bound: the worst error of all, and the elements of which the bound says nothing
since it is as large as they are. Memory is the peak of the largest process, when it had
imported everything and at the end of its round.
{alarms}
## How near torch comes to its bounds

{base}: the {comparisons} comparisons, by the tenth of its bound that the worst element of each
comes to. `largest` is the worst of all: near 1 where one rounding is all that may go wrong.
`vacuous` are the elements, in percent, of which the bound says nothing; `known`, comparisons that
deviate as the ledger of known deviations says.

{rows}
"""


def bars(tally: Tally) -> str:
    """A bar for each tenth of the bound, as high as the logarithm of how many came so near."""
    return "".join(
        " " if n == 0 else HEIGHTS[min(len(str(n)), len(HEIGHTS)) - 1] for n in tally.shares
    )


def histograms(soak: Soak) -> Iterator[str]:
    """A line for each output, at most 100 columns wide: bars, and the largest share."""
    dtypes = [name for name in FORMATS if any(name in tallies for tallies in soak.rows.values())]
    yield f"{'tenths of the bound':<{LABEL}}" + "".join(f"{name:>{CELL}}" for name in dtypes)
    section = ""
    for (component, output), tallies in soak.rows.items():
        if component != section:
            yield (section := component)
        cells = (
            f"|{bars(t)}| {t.worst_share:5.3f}" if (t := tallies.get(name)) else "-"
            for name in dtypes
        )
        yield f"  {output:<{LABEL - 2}}" + "".join(f"{cell:>{CELL}}" for cell in cells)


def described(setting: Setting, soak: Soak) -> tuple[str, str, str]:
    onednn = "on" if setting.onednn else "off"
    return soak.environment["torch"], str(setting.threads), onednn


SETTINGS = (
    "torch, threads, oneDNN, profile, rounds, comparisons, elements, alarms, worst share, vacuous"
)


def settings(soaks: Soaks) -> Iterator[tuple[str, ...]]:
    yield (*SETTINGS.split(", "), "MiB, from", "MiB, to", "seconds")
    for setting, soak in soaks.items():
        total = soak.total
        counts = (soak.rounds, total.examples, total.elements, len(soak.alarms))
        vacuous = f"{100 * total.vacuous / max(1, total.examples):.2f} %"
        memory = (f"{peak:.0f}" for peak in soak.memory[:2])
        shown = f"{total.worst_share:.4f}", vacuous, *memory, f"{soak.seconds:.0f}"
        yield (
            *described(setting, soak),
            ", ".join(soak.profiles),
            *(f"{count:,}" for count in counts),
            *shown,
        )


def rows(soak: Soak) -> Iterator[tuple[str, ...]]:
    tenths = (f"to {tenth / 10:.1f}" for tenth in range(1, 11))
    yield ("output", "dtype", "comparisons", *tenths, "largest", "vacuous", "known")
    for (component, output), tallies in soak.rows.items():
        for dtype, tally in tallies.items():
            vacuous = 100 * tally.vacuous / max(1, tally.examples)
            counts = (str(n or "") for n in (tally.examples, *tally.shares))
            shares = f"{tally.worst_share:.3f}", f"{vacuous:.1f}"
            yield (f"{component}: {output}", dtype, *counts, *shares, str(tally.known or ""))


def terminal(soaks: Soaks) -> Iterator[str]:
    """Everything in brief."""
    base = next(iter(soaks.values()))
    yield from histograms(base)
    yield ""
    yield from closing(base.record, base.seconds)
    yield ""
    yield from aligned(settings(soaks), words=4)
    for soak in soaks.values():
        yield from soak.alarms


def page(soaks: Soaks, command: str) -> str:
    """Everything in full, in Markdown."""
    setting, base = next(iter(soaks.items()))
    torch, threads, onednn = described(setting, base)
    versions = (f"{x} {base.environment[x]}" for x in ("python", "numpy", "hypothesis"))
    alarms = [f"- {alarm}" for soak in soaks.values() for alarm in soak.alarms]
    return PAGE.format(
        command=command,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        commits=", ".join(
            dict.fromkeys(commit for soak in soaks.values() for commit in soak.commits)
        ),
        versions=", ".join((f"torch {torch}", *versions, str(base.environment["system"]))),
        settings=markdown(settings(soaks), words=4),
        alarms="\n".join(["", *alarms, ""]),
        base=f"torch {torch}, {threads} thread, oneDNN {onednn}",
        comparisons=f"{base.total.examples:,}",
        rows=markdown(rows(base), words=2),
    )
