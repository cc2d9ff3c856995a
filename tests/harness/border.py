"""The border between torch and NumPy: the one place where data leave a device."""

import numpy as np
import torch


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A copy of the numbers, in float64, which holds them all exactly."""
    return tensor.detach().cpu().double().numpy()
