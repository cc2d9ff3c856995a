"""What BatchNorm refuses, through the function and the modules."""

import pytest
import torch
import torch.nn.functional as F

from tests.layers.batch_norm_cases import MODULES


@pytest.mark.parametrize("dims", MODULES)
def test_one_value_per_channel_is_refused_in_training(dims: int) -> None:
    input = torch.ones(1, 3, *(1,) * (dims - 2))
    for call in (MODULES[dims](3), lambda x: F.batch_norm(x, None, None, training=True)):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            call(input)


@pytest.mark.parametrize("dims", MODULES)
def test_a_module_refuses_inputs_of_other_dimensions(dims: int) -> None:
    for other in {1, *MODULES} - {d for d in MODULES if MODULES[d] is MODULES[dims]}:
        with pytest.raises(ValueError, match=rf"got {other}D input"):
            MODULES[dims](2)(torch.ones((2,) * other))


@pytest.mark.parametrize(("eps", "training"), [(0.0, True), (-1e-5, True), (-1e-5, False)])
def test_an_eps_that_may_divide_by_zero_is_refused(eps: float, training: bool) -> None:
    mean, var = torch.zeros(2), torch.ones(2)
    with pytest.raises(ValueError, match="eps must be"):
        F.batch_norm(torch.ones(3, 2), mean, var, training=training, eps=eps)


def test_statistics_that_do_not_fit_are_refused() -> None:
    input, three = torch.ones(4, 2), torch.ones(3)
    with pytest.raises(RuntimeError, match="running_mean must be defined in evaluation mode"):
        F.batch_norm(input, None, None)
    with pytest.raises(RuntimeError, match="running_mean should contain 2 elements not 3"):
        F.batch_norm(input, three, three)


def test_a_batch_of_cases_does_not_share_statistics_that_change() -> None:
    """By design: https://docs.pytorch.org/docs/stable/func.batch_norm.html."""
    mean, var = torch.zeros(2), torch.ones(2)
    with pytest.raises(RuntimeError, match="which will be updated in place, were not batched"):
        torch.func.vmap(lambda x: F.batch_norm(x, mean, var, training=True))(torch.ones(3, 4, 2))


@pytest.mark.xfail(
    raises=RuntimeError,
    strict=True,
    reason="its backward pass mixes no dtypes there: github.com/pytorch/pytorch/issues/184890",
)
def test_a_batch_of_cases_takes_half_inputs_and_float32_parameters() -> None:
    ones = torch.ones(2)

    def summed(x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, ones, training=True).sum()

    torch.func.vmap(torch.func.grad(summed))(torch.ones(3, 4, 2, dtype=torch.bfloat16))
