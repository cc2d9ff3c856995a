"""The border between torch and NumPy: the one place where data leave a device."""

import numpy as np
import torch


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The numbers in float64, which holds them all; float64 of the CPU shares its memory."""
    return tensor.detach().cpu().double().numpy()
