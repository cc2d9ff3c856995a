"""What the report draws of a training run."""

from typing import Any

import numpy as np
import torch

from reference import mlp
from tests.harness.record import RECORD, Record
from tests.training.network import Nodes


class Curves:
    """The panels of a run, their lines, and a number for each step."""

    def __init__(self, run: str) -> None:
        self.panels: dict[str, dict[str, list[float]]] = {}
        RECORD.curves[run] = self.panels

    def add(self, panel: str, line: str, number: Any) -> None:
        self.panels.setdefault(panel, {}).setdefault(line, []).append(float(number))

    def batch(self, line: str, loss: Any, logits: Any, labels: Any) -> None:
        self.add("loss", line, loss)
        self.add("% of the batch known", line, known(logits, labels))

    def norms(self, params: list[torch.Tensor]) -> None:
        for label, param in zip(mlp.Parameters._fields, params, strict=True):
            if param.grad is not None:
                self.add("norm of the gradient", label, param.grad.norm())

    def shares(self, seen: Record) -> None:
        """The worst errors of a step: there, back, and of each tensor of the update."""
        worst: dict[str, float] = {}
        for ((*_, output), _), tally in seen.tallies.items():
            line = "gradients" if output.startswith("grad ") else output
            line = "forward pass" if output in Nodes._fields else line
            worst[line] = max(worst.get(line, 0.0), tally.worst_share)
        for line, share in worst.items():
            self.add("error / bound", line, share)


def known(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of images, in percent, whose highest score is that of their class."""
    return 100 * float(np.mean(logits.argmax(axis=1) == labels))
