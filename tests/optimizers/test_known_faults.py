"""What torch's optimizers get wrong: minimal cases, of which the histories leave out the domain.

Each test states what is right, and `tests/deviations/ledger.toml` says how torch deviates. When an
entry is out of date, `tests/meta/test_deviations.py` fails: then what excludes its domain from the
histories, in `known_faults.py`, is to go as well.
"""

import contextlib
import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check

OPTIMIZERS = [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW]
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
both_adams = pytest.mark.parametrize("optimizer", OPTIMIZERS[1:])


@pytest.fixture(params=["float64", "float32", "bfloat16", "float16"])
def dtype(request: pytest.FixtureRequest, targets: Targets) -> torch.dtype:
    if request.param not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip(f"{request.param} on the CPU, where these faults are, is not asked for")
    return getattr(torch, request.param)


def exactly(component: str, output: str, path: str, got: torch.Tensor, expected: Any) -> None:
    """Every number in these cases is small and whole, or a half."""
    name = str(got.dtype).removeprefix("torch.")
    want = Rounding.kernel(name).array(np.array(expected))
    check(component, output, Target("cpu", name, path), got, want)


@every_optimizer
def test_fused_reads_the_gradient_element_by_element(optimizer, dtype):
    """Column by column in memory, beside a parameter that lies row by row."""
    param = torch.zeros(2, 2, dtype=dtype, requires_grad=True)
    param.grad = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=dtype).T.contiguous().T
    optimizer([param], lr=0.5, fused=True).step()
    exactly("fused strides", "direction", "fused", param.sign(), [[-1, 0], [1, 0]])


@every_optimizer
def test_fused_leaves_the_neighbours_of_a_view_alone(optimizer, dtype):
    larger = torch.zeros(4, dtype=dtype)
    param = larger[::2].requires_grad_()
    param.grad = torch.ones(2, dtype=dtype)
    optimizer([param], lr=0.5, weight_decay=0.0, fused=True).step()
    exactly("fused gaps", "larger tensor", "fused", larger.sign(), [-1, 0, -1, 0])


def test_fused_sgd_takes_a_first_gradient_that_comes_late(dtype):
    early, late = (torch.ones(1, dtype=dtype, requires_grad=True) for _ in range(2))
    sgd = torch.optim.SGD([early, late], lr=0.5, momentum=0.5, fused=True)
    early.grad = torch.ones(1, dtype=dtype)
    sgd.step()
    late.grad = torch.ones(1, dtype=dtype)
    with contextlib.suppress(TypeError):
        sgd.step()
    exactly("fused late gradient", "param", "fused", late, [0.5])


def test_foreach_nesterov_leaves_the_gradient_alone(dtype):
    param = torch.zeros(1, dtype=dtype, requires_grad=True)
    param.grad = torch.ones(1, dtype=dtype)
    torch.optim.SGD([param], lr=0.5, momentum=0.5, nesterov=True, foreach=True).step()
    exactly("foreach nesterov", "gradient", "foreach", param.grad, [1])


@both_adams
def test_fused_amsgrad_keeps_nan(optimizer, dtype):
    param = torch.ones(1, dtype=dtype, requires_grad=True)
    adam = optimizer([param], amsgrad=True, fused=True)
    param.grad = torch.full((1,), math.nan, dtype=dtype)
    adam.step()
    largest = adam.state[param]["max_exp_avg_sq"]
    exactly("fused maximum", "max_exp_avg_sq", "fused", largest, [math.nan])


@both_adams
def test_a_learning_rate_of_zero_changes_nothing_in_the_differentiable_path(optimizer, dtype):
    param = torch.ones(1, dtype=dtype)
    param.grad = torch.zeros(1, dtype=dtype)
    optimizer([param], lr=0.0, differentiable=True).step()
    exactly("lr of zero", "param", "differentiable", param, [1])


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_decay_to_be_differentiated_leaves_the_gradient_alone(optimizer, dtype):
    decay = torch.tensor(0.5, requires_grad=True)
    param = torch.ones(1, dtype=dtype)
    param.grad = torch.ones(1, dtype=dtype)
    optimizer([param], lr=0.5, weight_decay=decay, differentiable=True).step()
    exactly("differentiable decay", "gradient", "differentiable", param.grad, [1])


@both_adams
def test_state_is_loaded_in_the_dtype_of_a_complex_parameter(optimizer, dtype):
    if dtype not in {torch.float32, torch.float64}:
        pytest.skip("optimizers know no complex half types")
    own = {torch.float32: torch.complex64, torch.float64: torch.complex128}
    other = own[torch.float64 if dtype == torch.float32 else torch.float32]
    adams, params = [], [torch.zeros(1, dtype=d, requires_grad=True) for d in (other, own[dtype])]
    for param in params:
        param.grad = torch.ones_like(param)
        adams.append(optimizer([param], lr=0.5, foreach=False))
    adams[0].step()
    adams[1].load_state_dict(adams[0].state_dict())
    with contextlib.suppress(RuntimeError):
        adams[1].step()
    direction = torch.view_as_real(params[1]).sign()
    exactly("complex reload", "direction", "for-loop", direction, [[-1, 0]])


@every_optimizer
def test_optimizers_share_no_state_after_one_has_loaded_that_of_another(optimizer, dtype):
    options = {"momentum": 0.5} if optimizer is torch.optim.SGD else {"betas": (0.5, 0.5)}
    params = [torch.zeros(1, dtype=dtype, requires_grad=True) for _ in range(2)]
    one, other = (optimizer([p], lr=0.5, foreach=False, **options) for p in params)
    for param, grad in zip(params, (1.0, 3.0), strict=True):
        param.grad = torch.full_like(param, grad)
    one.step()
    other.load_state_dict(one.state_dict())
    other.step()
    name = "momentum_buffer" if optimizer is torch.optim.SGD else "exp_avg"
    expected = [1.0] if optimizer is torch.optim.SGD else [0.5]
    exactly("state loaded twice", name, "for-loop", one.state[params[0]][name], expected)
