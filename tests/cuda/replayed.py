"""A step that is recorded in a CUDA graph, and replayed."""

from collections.abc import Callable

import torch

WARM_UP = 3  # calls on a side stream, which torch asks for before it records


class Replayed:
    """A function without arguments, called as torch's notes on CUDA graphs say.

    Whatever it reads and writes stays where it was when it was recorded: a new batch is copied
    into the memory of the old one. From then on no line of Python runs, nor is any number of Python
    read: what the step counts must be counted in a tensor.

    Args:
        device: a CUDA device.
        step: what is recorded.
        before: called before the warm-up's steps and before recording, but not before a replay.
    """

    def __init__(
        self, device: str, step: Callable[[], object], before: Callable[[], object] = bool
    ) -> None:
        self.device, self.step, self.before = device, step, before
        self.graph = torch.cuda.CUDAGraph()
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        with torch.cuda.device(self.device):
            if self.calls <= WARM_UP:
                self.before()
                aside(self.step)
                return
            if self.calls == WARM_UP + 1:
                self.before()
                with torch.cuda.graph(self.graph):  # which does nothing yet
                    self.step()
            self.graph.replay()


def aside(step: Callable[[], object]) -> None:
    """Call it on another stream than the current one, after what that does, and before the rest."""
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(here)
    with torch.cuda.stream(side):
        step()
    here.wait_stream(side)
