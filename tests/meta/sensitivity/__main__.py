"""`python -m tests.meta.sensitivity`: how small an error of one element is found, for each output.

Other arguments go to pytest: folders, --device, --dtype, --hypothesis-profile.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.meta.sensitivity.runs import study
from tests.meta.sensitivity.table import page, rows, summary
from tests.meta.tables import aligned, command


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.meta.sensitivity", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each kind of inputs (3)")
    parser.add_argument("--log", metavar="DIR", type=Path, help="keep runs; use those kept there")
    parser.add_argument("--page", metavar="FILE", type=Path, help="write it all in Markdown")
    parser.add_argument("--chart", metavar="FILE", type=Path, help="draw it, as .svg or .png")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the table as lists")
    options, others = parser.parse_known_args()
    found = study(options.runs, others, options.log)
    heads, *lines = rows(found)
    print(*aligned([heads, *lines], words=2), "", *aligned(summary(found), words=1), sep="\n")
    if options.json:
        options.json.write_text(json.dumps({"heads": heads, "rows": lines}), "utf-8")
    if options.chart:
        from tests.meta.sensitivity.chart import draw

        draw(found, options.chart)
    if options.page:
        written = command("tests.meta.sensitivity", sys.argv[1:])
        chart = options.chart and options.chart.name
        options.page.write_text(page(found, written, chart), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
