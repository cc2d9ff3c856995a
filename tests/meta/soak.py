"""`python -m tests.meta.soak`: all properties again and again, each round with a fresh seed.

A suite that cries wolf is not believed. Here it compares until it has compared enough, on one, two
and four torch threads in turn, and says how near to its bounds torch has come.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.harness.record import Record, Tally
from tests.harness.report.terminal import closing, matrix
from tests.meta.verified import DRAWN

THREADS = (1, 2, 4)
TENTHS = "▁▂▃▄▅▆▇█"
COUNTED = tuple(field.name for field in fields(Tally) if field.name != "test")


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser("python -m tests.meta.soak", description=__doc__)
    parser.add_argument("--comparisons", type=float, default=1e6, help="stop after so many arrays")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seeds", help="11,12: a round each, in place of fresh ones")
    parser.epilog = (
        "Other arguments go to pytest: folders, --device, --dtype, --hypothesis-profile."
    )
    return parser.parse_known_args()


def one_round(seed: int, threads: int, others: list[str]) -> dict[str, Any]:
    """One run of pytest; its report."""
    chosen = [] if any(Path(x).exists() for x in others) else DRAWN
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *("-n", "auto", "--dist", "worksteal", "--report", folder),
                *("--hypothesis-seed", str(seed), *chosen, *others),
            ],
            check=False,
            env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)),
            capture_output=True,
            text=True,
        )
        try:
            report: dict[str, Any] = json.loads((Path(folder) / "report.json").read_text("utf-8"))
        except FileNotFoundError:
            raise SystemExit(f"pytest ended without a report:\n{run.stdout}{run.stderr}") from None
    return report


def add(record: Record, rows: list[dict[str, Any]]) -> None:
    for cell in rows:
        row = cell["device"], cell["component"], cell["path"], cell["output"]
        numbers: dict[str, Any] = {name: cell[name] or 0.0 for name in COUNTED}
        tally = Tally(**numbers)
        tally.vacuous *= tally.examples  # the report has the mean
        record.tally(row, cell["dtype"]).add(tally)


def histograms(record: Record) -> Iterator[str]:
    """A bar for each tenth of the bound, as high as the logarithm of how many came so near."""
    components: dict[str, Tally] = {}
    for (row, _), tally in record.tallies.items():
        components.setdefault(row[1], Tally()).add(tally)
    yield f"{'worst error of a comparison, by tenths of its bound':<60}largest"
    for component, tally in components.items():
        bars = "".join(" " if n == 0 else TENTHS[min(7, len(str(n)) - 1)] for n in tally.shares)
        yield f"  {component:<56} |{bars}| {tally.worst_share:.3f}"


def main() -> int:
    options, others = arguments()
    seeds = [int(seed) for seed in options.seeds.split(",")] if options.seeds else None
    record, alarms, start = Record(), 0, time.monotonic()
    for number, seed in enumerate(seeds or iter(lambda: secrets.randbelow(2**32), None)):
        threads = THREADS[number % len(THREADS)]
        report = one_round(seed, threads, others)
        add(record, report["rows"])
        for text in report["not_verified"]:
            record.note(text)
        failures = report["failures"]
        alarms += len(failures) or report["run"]["exit_status"] != 0
        done, seconds = sum(t.examples for t in record.tallies.values()), time.monotonic() - start
        print(
            f"round {number + 1}: seed {seed}, {threads} threads, {len(failures)} alarms;"
            f" {done:,} comparisons in {seconds:.0f} s",
            flush=True,
        )
        for failure in failures:
            print(f"  {failure['test']} --hypothesis-seed {seed}\n    {failure['message']}")
        if not seeds and (done >= options.comparisons or seconds > options.seconds):
            break
    lines = *matrix(record), "", *histograms(record), "", *closing(record, time.monotonic() - start)
    print("\n".join(lines), f"{alarms} alarms", sep="\n")
    return 1 if alarms else 0


if __name__ == "__main__":
    raise SystemExit(main())
