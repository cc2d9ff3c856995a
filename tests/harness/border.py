"""The border between torch and NumPy: the one place where data leave a device."""

from typing import Any

import numpy as np
import torch


def to_numpy(tensor: torch.Tensor, numbers: Any = np.float64) -> np.ndarray:
    """The numbers in float64, which holds them all; or float32, for arithmetic that is as fast.

    What is in that format already, on the CPU, shares its memory.
    """
    on_cpu = tensor.detach().cpu()
    return (on_cpu.float() if numbers == np.float32 else on_cpu.double()).numpy()
