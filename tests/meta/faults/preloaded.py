"""What the server of `runs` does once, which each run would else do anew: nothing of our own."""

from contextlib import suppress
from importlib import import_module

import torch
from hypothesis import find, settings
from hypothesis import strategies as st

PLUGINS = ("doctest", "pytest", "_hypothesis_pytestplugin", "pytest_benchmark.plugin")

for name in (*PLUGINS, "xdist.plugin"):
    with suppress(ImportError):
        import_module(name)

vars(torch.hub)["tqdm"].monitor_interval = 0  # else it starts a thread; this process is to fork
# The first optimizer, and the first function that is compiled, import a thousand modules.
torch.compile(torch.neg, backend="aot_eager")(torch.ones(1))
torch.compiler.reset()
# For its first example Hypothesis looks into every module that is there.
find(st.just(0), lambda number: True, settings=settings(database=None))
