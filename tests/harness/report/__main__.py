"""`python -m tests.harness.report compare OLD NEW`, and `render DIR`."""

import argparse
import sys
from pathlib import Path

from tests.harness.report.compare import REGRESSIONS, RULES, compare
from tests.harness.report.files import ReportError, draw, read


def main() -> int:
    """Exit with 1 where the newer report is worse, with 2 where one cannot be read."""
    parser = argparse.ArgumentParser("python -m tests.harness.report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("compare", help="what changed between two runs", epilog=RULES)
    comparing.add_argument("old", type=Path, help="a report.json, or its folder")
    comparing.add_argument("new", type=Path)
    rendering = commands.add_parser("render", help="draw report.html of report.json again")
    rendering.add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        if options.command == "render":
            print(draw(options.folder, read(options.folder)))
            return 0
        changes = compare(read(options.old), read(options.new))
    except ReportError as error:
        print(error, file=sys.stderr)
        return 2
    show(changes)
    return int(any(changes.get(title) for title in REGRESSIONS))


def show(changes: dict[str, list[str]]) -> None:
    """Each kind of change with its lines; in colour where rich is installed."""
    try:
        from rich.console import Console
    except ImportError:
        for title, lines in changes.items():
            print("\n".join([f"{title}:", *(f"  {line}" for line in lines)]))
        return
    console = Console(highlight=False, soft_wrap=True)
    for title, lines in changes.items():
        colour = "bold red" if title in REGRESSIONS else "bold"
        console.print(f"{title}:", style=colour)
        for line in lines:
            console.print(f"  {line}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
