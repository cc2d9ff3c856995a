"""What Linear starts from, and the distributions that drawn numbers are held against."""

import numpy as np
import pytest
import torch

from reference.distributions import normal_cdf, uniform_cdf
from reference.initialization import dirac, linear_parameters
from tests.benchmarks.conftest import Timed
from tests.benchmarks.pairs import SIZES, numbers
from tests.harness.targets import Targets

NORMAL = torch.distributions.Normal(0.0, 1.0)
UNIFORM = torch.distributions.Uniform(-9.0, 9.0)
BESIDE = {
    "linear parameters": (
        lambda n: (n,),
        lambda n: torch.nn.Linear(n, n),
        lambda n: linear_parameters(np.random.default_rng(0), n, n),
    ),
    "dirac": (
        lambda n: (n,),
        lambda n: torch.nn.init.dirac_(torch.empty(n, n, 3)),
        lambda n: dirac((n, n, 3)),
    ),
    "uniform cdf": (lambda n: (numbers(n, n),), UNIFORM.cdf, lambda x: uniform_cdf(x, -9.0, 9.0)),
    "normal cdf": (lambda n: (numbers(n, n),), NORMAL.cdf, normal_cdf),
}


@pytest.mark.parametrize("side", ["torch", "reference"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", BESIDE)
def test_initialization(timed: Timed, targets: Targets, name: str, size: int, side: str) -> None:
    inputs, of_torch, of_reference = BESIDE[name]
    if side == "reference":
        timed(name, side, size, lambda: of_reference(*inputs(size)))
        return
    with torch.device(targets.devices[0]):
        arguments = [torch.as_tensor(x) if isinstance(x, np.ndarray) else x for x in inputs(size)]
        timed(name, side, size, lambda: of_torch(*arguments))
