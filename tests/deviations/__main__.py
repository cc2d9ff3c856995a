"""`python -m tests.deviations`: which known deviations are still true of the installed torch?"""

import sys
from concurrent.futures import ThreadPoolExecutor

import torch

from tests.harness.deviations import LedgerError, load


def main() -> int:
    """Replay each entry's reproducer. Exit with 1 where the ledger and torch disagree."""
    disagree = 0
    print(f"known deviations, replayed on torch {torch.__version__}")
    entries = load()
    with ThreadPoolExecutor(4) as pool:  # each imports torch, which takes longer than what it does
        replayed = pool.map(lambda known: known.replayed, entries)
    for known, (verdict, printed) in zip(entries, replayed, strict=True):
        expected = "deviates" if known.applies else "does not deviate"
        disagree += verdict != expected
        note = "" if verdict == expected else f"  <- the ledger says: torch {known.versions}"
        print(f"\n{known.id}: {verdict}{note}\n  {known.torch_does}; it should {known.it_should}")
        print(f"  {known.upstream}")
        for line in printed.splitlines()[-10:]:
            print(f"    {line}")
    return int(disagree > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LedgerError as error:
        sys.exit(str(error))
