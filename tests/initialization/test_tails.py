"""The outermost of many numbers: as far out as they should be, and no further."""

import pytest
import torch
from torch.nn import init

from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly

COUNT = 2**20
FAR, TOO_FAR = 4.0, 10.0
"""In standard deviations. Of as many normal numbers none is beyond FAR with a probability of
(1 - 6.3e-5)^COUNT < 1e-28, and one is beyond TOO_FAR with less than COUNT 1.6e-23 < 1e-16."""


def targets_of_half_types(targets: Targets) -> list[Target]:
    by_dtype = targets.by_dtype("functional")
    return [t for dtype, paths in by_dtype if dtype in {"bfloat16", "float16"} for t in paths]


@pytest.mark.parametrize("seed", range(2))
def test_some_normal_numbers_are_far_from_the_mean(targets: Targets, seed: int) -> None:
    """`half-type-normal-has-no-tails`, up to 2.11."""
    for target in targets_of_half_types(targets):
        x = torch.empty(COUNT, dtype=target.torch_dtype, device=target.device)
        generator = torch.Generator(target.device).manual_seed(seed)
        far = init.normal_(x, generator=generator).abs().max() > FAR
        exactly("normal_", "far from the mean", target, far.to(x.dtype), 1.0)


@pytest.mark.parametrize("std", [0.02, 0.001])
def test_truncated_normal_numbers_are_not_too_far_from_the_mean(
    targets: Targets, std: float
) -> None:
    """`half-type-trunc-normal-jumps-to-its-bounds`, up to 2.11."""
    for target in targets_of_half_types(targets):
        x = torch.empty(COUNT, dtype=target.torch_dtype, device=target.device)
        init.trunc_normal_(x, std=std, generator=torch.Generator(target.device).manual_seed(0))
        too_far = x.abs().max() > TOO_FAR * std
        exactly("trunc_normal_", "too far from the mean", target, too_far.to(x.dtype), 0.0)


def test_uniform_numbers_stay_below_their_end(targets: Targets) -> None:
    """`uniform-includes-its-end`, up to 2.11; in float64 it would take 2^43 numbers to see."""
    for _, paths in targets.by_dtype("functional"):
        for target in (t for t in paths if t.dtype != "float64" and t.device == "cpu"):
            generator = torch.Generator().manual_seed(0)
            x = torch.empty(COUNT, dtype=target.torch_dtype).uniform_(128, 129, generator=generator)
            exactly("uniform_", "at the end", target, (x == 129).any().to(x.dtype), 0.0)
