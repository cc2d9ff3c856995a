"""What the tests of CUDA have in common: where they run, and their numbers."""

import numpy as np
import pytest
import torch

from tests.harness.targets import Target, Targets

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="needs a GPU: docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs",
)


def cuda_targets(targets: Targets, path: str) -> list[Target]:
    """The CUDA devices of the run, in float32."""
    found = [Target(d, "float32", path) for d in targets.devices if d.startswith("cuda")]
    if not found or "float32" not in targets.dtypes:
        pytest.skip("float32 on CUDA is not asked for (--device cuda)")
    return found


def normal(seed: int, *shape: int) -> np.ndarray:
    """Numbers of float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(float)
