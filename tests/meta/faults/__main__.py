"""`python -m tests.meta.faults [NAME ...]`: put each fault into torch and see what finds it.

The tests of the fault's component run first; only where they miss it, all the others.
"""

import argparse
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, as_completed
from difflib import get_close_matches

from tests.meta.faults.catalogue import FAULTS, Fault
from tests.meta.faults.control import CONTROL
from tests.meta.faults.files import EVERYTHING, files
from tests.meta.faults.runs import Run, Runs, open_runs
from tests.meta.faults.table import Verdict, printed, write


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.meta.faults", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="of a fault (default: all)")
    parser.add_argument("--seeds", help="11,12: all faults with each (default: one, at random)")
    parser.add_argument("--profile", default="default")
    parser.add_argument(
        "--write", action="store_true", help="the tables, into FAULTS.md and README"
    )
    options = parser.parse_args()
    known = {CONTROL.name: CONTROL, **FAULTS}
    if unknown := [name for name in options.names if name not in known]:
        near = ", ".join(get_close_matches(unknown[0], known)) or "a fault of the catalogue"
        parser.error(f"{unknown[0]}: no such fault; did you mean {near}?")
    if options.write and options.names:
        parser.error("--write: the tables are of all faults; name none")
    faults = [known[name] for name in options.names or known]
    seeds = [int(seed) for seed in (options.seeds or str(secrets.randbelow(2**32))).split(",")]
    verdicts: dict[tuple[Fault, int], Verdict] = {}
    left = [(fault, seed) for seed in seeds for fault in faults]
    with open_runs() as runs:
        for where in (files, lambda component: EVERYTHING):
            started = {
                start(runs, fault, where(fault.component), seed, options.profile): (fault, seed)
                for fault, seed in left
            }
            for future in progress(as_completed(started), len(started)):
                fault, seed = started[future]
                verdicts[fault, seed] = judged(fault, seed, future.result())
            left = [(f, seed) for f, seed in left if f is not CONTROL and not verdicts[f, seed].by]
    rows = {fault: [verdicts[fault, seed] for seed in seeds] for fault in faults}
    made_by = f"--seeds {','.join(map(str, seeds))} --profile {options.profile}"
    print("\n".join(printed(rows)), made_by, sep="\n")
    if options.write:
        write(rows, made_by)
    wolf = CONTROL in rows and any(verdict.by for verdict in rows[CONTROL])
    return 1 if wolf or left else 0


def start(runs: Runs, fault: Fault, where: list[str], seed: int, profile: str) -> "Future[Run]":
    return runs.start(
        *where,
        *("-p", "tests.meta.faults.plugin", "--fault", fault.name, *fault.dtypes, "-x"),
        *("--hypothesis-seed", str(seed), "--hypothesis-profile", f"{profile}-unshrunk"),
    )


def progress(futures: Iterator["Future[Run]"], total: int) -> Iterator["Future[Run]"]:
    try:
        from tqdm import tqdm
    except ImportError:
        return futures
    return iter(tqdm(futures, "faults", total, unit="run", leave=False))


def judged(fault: Fault, seed: int, run: Run) -> Verdict:
    failed = re.search(
        r"^(?:FAILED|ERROR) [^\s\[]*?(\w+)(?:::runTest)?(?:\[| - |$)", run.output, re.MULTILINE
    )
    told = re.search(r"^found in example (\d+), after ([\d.]+) s", run.output, re.MULTILINE)
    examples, seconds = told.groups() if told and run.exit_code else (1, 0)
    by = failed[1] if failed and run.exit_code else ""
    return Verdict(fault, seed, by, int(examples), float(seconds))


if __name__ == "__main__":
    raise SystemExit(main())
