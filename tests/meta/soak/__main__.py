"""`python -m tests.meta.soak`: all properties again and again, each round with a fresh seed.

A suite that cries wolf is not believed. Here it compares until it has compared enough, and says how
near to its bounds torch has come: on one thread first, and then in each other setting that is asked
for. Other arguments go to pytest: folders, --device, --dtype, --hypothesis-profile.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.meta.soak.rounds import Round, Setting, Soak, one_round
from tests.meta.soak.table import Soaks, page, terminal
from tests.meta.tables import command


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser("python -m tests.meta.soak", description=__doc__)
    parser.add_argument("--comparisons", type=float, default=1e6, help="of whole arrays (1e6)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seeds", help="11,12: a round each, in place of fresh ones")
    changed = parser.add_argument_group(
        "other settings", "Each is soaked as well, with nothing else changed."
    )
    repeatable: dict[str, Any] = {"action": "append", "default": []}
    changed.add_argument("--threads", type=int, **repeatable, help="as 2; repeatable")
    changed.add_argument("--without-onednn", action="store_true", help="torch's own kernels")
    changed.add_argument("--python", metavar="PATH", **repeatable, help="of another environment")
    changed.add_argument("--each", type=float, default=1e5, help="comparisons in each (1e5)")
    parser.add_argument("--log", metavar="FILE", type=Path, help="keep rounds; go on after these")
    parser.add_argument("--page", metavar="FILE", type=Path, help="write all of it in Markdown")
    return parser.parse_known_args()


def wanted(options: argparse.Namespace) -> dict[Setting, float]:
    """The settings, each with the comparisons that are asked of it."""
    base = Setting()
    others = [replace(base, threads=threads) for threads in options.threads]
    others += [replace(base, onednn=False)] if options.without_onednn else []
    others += [replace(base, python=python) for python in options.python]
    return {base: options.comparisons} | dict.fromkeys(others, options.each)


def rounds(options: argparse.Namespace, others: list[str], soaks: Soaks) -> Iterator[Round]:
    """As many as are wanted; `soaks` adds them up meanwhile."""
    start = time.monotonic()
    for setting, goal in wanted(options).items():
        seeds = [int(seed) for seed in options.seeds.split(",")] if options.seeds else None
        for seed in seeds or iter(lambda: secrets.randbelow(2**32), None):
            done = soaks[setting].comparisons if setting in soaks else 0
            if not seeds and (done >= goal or time.monotonic() - start > options.seconds):
                break
            yield one_round(setting, seed, others)


def add(soaks: Soaks, one: Round) -> None:
    soaks.setdefault(one.setting, Soak()).add(one)


def progress(soak: Soak, one: Round) -> str:
    start, end, test = one.largest
    threads = f"{one.setting.threads} thread{'s' * (one.setting.threads > 1)}"
    onednn = "" if one.setting.onednn else ", without oneDNN"
    return (
        f"torch {one.report['environment']['torch']}, {threads}{onednn}, seed {one.seed}:"
        f" {len(one.alarms)} alarms, {start:.0f} to {end:.0f} MiB (most by {test});"
        f" {soak.comparisons:,} comparisons in {soak.seconds:.0f} s"
    )


def main() -> int:
    options, others = arguments()
    soaks: Soaks = {}
    if options.log and options.log.exists():
        for line in options.log.read_text("utf-8").splitlines():
            add(soaks, Round.load(line))
    try:
        for one in rounds(options, others, soaks):
            add(soaks, one)
            print(progress(soaks[one.setting], one), *one.alarms, sep="\n  ", flush=True)
            if options.log:
                with options.log.open("a", encoding="utf-8") as log:
                    log.write(one.dump() + "\n")
    except KeyboardInterrupt:
        print("interrupted")
    if not soaks:
        raise SystemExit("nothing was compared")
    print("", *terminal(soaks), sep="\n")
    if options.page:
        options.page.write_text(page(soaks, command("tests.meta.soak", sys.argv[1:])), "utf-8")
    return int(any(soak.alarms for soak in soaks.values()))


if __name__ == "__main__":
    raise SystemExit(main())
