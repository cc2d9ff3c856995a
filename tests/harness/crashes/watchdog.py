"""Waits for the end of a run, and tells the aftermath where the run left its journal behind.

A process of its own, started with the path of the journal and a pipe that ends with the run. It
imports next to nothing: a run that ends well should not notice it.
"""

import os
import sys

if __name__ == "__main__":
    sys.stdin.read()
    if os.path.exists(sys.argv[1]):  # noqa: PTH110  (pathlib would double its memory and its time)
        module = ("-m", "tests.harness.crashes.aftermath", sys.argv[1])
        os.execv(sys.executable, (sys.executable, *module))
