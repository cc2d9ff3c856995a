"""CUDA graphs and streams imitated on the CPU: what is recorded is undone, and a replay does it.

As on CUDA, a replay runs the recorded kernels on the recorded memory, and no Python: a number that
Python counts stays what it was. And as there, a recorded step must not look at a number.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class CUDAGraph(TorchDispatchMode):
    """The kernels that are called while it is entered, each with its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.before: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # what was written to

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if op is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, given in zip(op._schema.arguments, args, strict=False):
            if argument.alias_info and argument.alias_info.is_write:
                for x in tree_leaves(given):
                    self.before.setdefault(id(x), (x, x.clone()))
        result = op(*args, **kwargs)
        if op.namespace != "profiler":
            self.kernels.append((op, args, kwargs, result))
        return result

    def undo(self) -> None:
        for x, before in self.before.values():
            x.copy_(before)

    def replay(self) -> None:
        with torch.no_grad():
            for op, args, kwargs, result in self.kernels:
                again = op(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if old is not None and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


@contextmanager
def graph(recorded: CUDAGraph) -> Iterator[None]:
    with recorded:
        yield
    with torch.no_grad():
        recorded.undo()


class Stream:
    """One of one."""

    def wait_stream(self, other: "Stream") -> None:
        assert isinstance(other, Stream)


@pytest.fixture
def graphs_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.cuda and capturable optimizers, as far as the tests of CUDA use them."""
    one = Stream()
    names = {
        "CUDAGraph": CUDAGraph,
        "graph": graph,
        "Stream": Stream,
        "current_stream": lambda: one,
        "stream": nullcontext,
        "device": nullcontext,
    }
    for name, imitation in names.items():
        monkeypatch.setattr(torch.cuda, name, imitation)
    adam = import_module("torch.optim.adam")  # of which AdamW is a kind
    monkeypatch.setattr(adam, "_get_capturable_supported_devices", lambda *_, **__: ["cpu"])
