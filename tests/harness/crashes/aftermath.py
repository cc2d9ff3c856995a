"""`python -m tests.harness.crashes.aftermath JOURNAL`: the report of a run that died."""

import sys
from pathlib import Path

from tests.harness.crashes.journal import Legacy
from tests.harness.crashes.search import search
from tests.harness.report.data import report
from tests.harness.report.files import write


def main(path: Path) -> None:
    """Find the call that killed it, and write the report that it could not write."""
    ended = path.stat().st_mtime
    with path.open(encoding="utf-8") as lines:
        legacy = Legacy.of(lines)
    path.unlink()
    run = legacy.run
    if not legacy.interrupted:
        tell(f"\npytest died in {', '.join(legacy.running) or 'between two tests'}")
    for test in legacy.running if not legacy.interrupted else ():
        found = search(test, run, alone=True)
        page = found.page(test)
        tell(page)
        scripts = [found.script] if found.script else []
        legacy.failures.append(
            {
                "test": test,
                "message": page.splitlines()[0],
                "text": page,
                "reproducers": [{"file": s.name, "script": s.read_text("utf-8")} for s in scripts],
            }
        )
    if run["report"]:
        kept = {key: run[key] for key in ("date", "profile", "seed", "arguments")}
        kept |= {
            "seconds": round(ended - run["began"], 1),
            "exit_status": 2 if legacy.interrupted else -1,
        }
        data = report(legacy.record, kept, legacy.failures, tuple(run["devices"]))
        tell(f"report: {write(Path(run['folder']), data)}")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
