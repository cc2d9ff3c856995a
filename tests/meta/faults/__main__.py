"""`python -m tests.meta.faults [NAME ...]`: put each fault into torch and see what finds it.

The tests of the fault's component run first; only where they miss it, all the others.
"""

import argparse
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from difflib import get_close_matches

from tests.meta.faults.catalogue import CONTROL, FAULTS, Fault
from tests.meta.faults.files import files
from tests.meta.faults.runs import Run, Runs, open_runs
from tests.meta.verified import DRAWN


@dataclass(frozen=True)
class Verdict:
    """What became of one fault."""

    fault: Fault
    found_by: str  # the first property, "" if none
    examples: str  # of it, until the first that fails
    seconds: float

    @property
    def survives(self) -> bool:
        return not self.found_by and self.fault is not CONTROL


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.meta.faults", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="of a fault (default: all)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--profile", default="default")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in FAULTS]:
        near = ", ".join(get_close_matches(unknown[0], FAULTS)) or "a fault of the catalogue"
        parser.error(f"{unknown[0]}: no such fault; did you mean {near}?")
    faults = [FAULTS[name] for name in options.names] or [CONTROL, *FAULTS.values()]
    verdicts: dict[Fault, Verdict] = {}
    left = faults
    with open_runs() as runs:
        for where in (files, lambda component: DRAWN):
            started = {start(runs, fault, where(fault.component), options): fault for fault in left}
            for future in progress(as_completed(started), len(started)):
                verdicts[started[future]] = judged(started[future], future.result())
            left = [fault for fault in left if verdicts[fault].survives]
    print("\n".join(table([verdicts[fault] for fault in faults])))
    print(f"--seed {options.seed} --profile {options.profile}")
    wolf = CONTROL in verdicts and verdicts[CONTROL].found_by
    return 1 if wolf or any(v.survives for v in verdicts.values()) else 0


def start(runs: Runs, fault: Fault, where: list[str], options: argparse.Namespace) -> "Future[Run]":
    return runs.start(
        *where,
        *("-p", "tests.meta.faults.plugin", "--fault", fault.name, "--dtype", fault.dtype, "-x"),
        *(
            "--hypothesis-seed",
            str(options.seed),
            "--hypothesis-profile",
            f"{options.profile}-unshrunk",
        ),
    )


def progress(futures: Iterator["Future[Run]"], total: int) -> Iterator["Future[Run]"]:
    try:
        from tqdm import tqdm
    except ImportError:
        return futures
    return iter(tqdm(futures, "faults", total, unit="fault", leave=False))


def judged(fault: Fault, run: Run) -> Verdict:
    failed = re.search(r"^(?:FAILED|ERROR) [^\s\[]*?(\w+)(?:\[| - |$)", run.output, re.MULTILINE)
    told = re.search(r"^found in example (\d+), after ([\d.]+) s", run.output, re.MULTILINE)
    examples, seconds = told.groups() if told and run.exit_code else ("", 0)
    return Verdict(fault, failed[1] if failed and run.exit_code else "", examples, float(seconds))


def table(verdicts: list[Verdict]) -> Iterator[str]:
    wide = max(len(v.fault.name) for v in verdicts)
    yield f"{'fault':<{wide}} {'example':>7} {'s':>5} found by"
    for v in verdicts:
        by = v.found_by or ("nothing, and nothing is wrong" if v.fault is CONTROL else "SURVIVES")
        yield f"{v.fault.name:<{wide}} {v.examples:>7} {v.seconds:5.1f} {by}"
    every = Counter(v.fault.component for v in verdicts if v.fault is not CONTROL)
    found = Counter(v.fault.component for v in verdicts if v.found_by)
    yield ""
    for component, count in every.items():
        yield f"{component:<{wide}} {found[component]:>3} of {count:>3}"
    yield f"{'all':<{wide}} {sum(found.values()):>3} of {every.total():>3}"


if __name__ == "__main__":
    raise SystemExit(main())
