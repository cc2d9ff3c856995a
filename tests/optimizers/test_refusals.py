"""What torch's optimizers refuse, and with which exception; the reference says ValueError."""

from typing import Any

import pytest
import torch

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
ADAMS = ("adam", "adamw")


def parameter() -> torch.Tensor:
    return torch.zeros(2, requires_grad=True)


# The reference refuses the same: tests/references/test_optimizers.py.
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"lr": -0.1}) for name in OPTIMIZERS),
        *((name, {"weight_decay": -0.1}) for name in OPTIMIZERS),
        ("sgd", {"momentum": -0.1}),
        ("sgd", {"nesterov": True}),
        ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        *((name, {"eps": -1e-8}) for name in ADAMS),
        *((name, {"betas": (1.0, 0.9)}) for name in ADAMS),
        *((name, {"betas": (0.9, -0.1)}) for name in ADAMS),
        *((name, {"lr": torch.ones(2)}) for name in OPTIMIZERS),
        *((name, {"lr": torch.ones(()), "foreach": True}) for name in ADAMS),
    ],
)
def test_hyperparameters_out_of_range_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (torch promises the type, not the words)
        OPTIMIZERS[name]([parameter()], **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("flag", ["foreach", "differentiable"])
def test_fused_goes_with_no_other_path(name: str, flag: str) -> None:
    with pytest.raises(RuntimeError, match="fused"):
        OPTIMIZERS[name]([parameter()], lr=0.1, fused=True, **{flag: True})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_refuses_complex_parameters(name: str) -> None:
    param = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match="floating point"):
        OPTIMIZERS[name]([param], lr=0.1, fused=True).step()


@pytest.mark.parametrize("name", ADAMS)
def test_adam_refuses_sparse_gradients(name: str) -> None:
    param = parameter()
    param.grad = torch.ones(2).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        OPTIMIZERS[name]([param], lr=0.1).step()


@pytest.mark.parametrize("foreach", [False, True])
def test_sgd_takes_sparse_gradients_as_dense_ones(foreach: bool) -> None:
    """Exact in float32: 3 - 0.5 * 4 = 1, and the other element stays."""
    param = torch.tensor([3.0, 5.0], requires_grad=True)
    param.grad = torch.tensor([4.0, 0.0]).to_sparse()
    torch.optim.SGD([param], lr=0.5, foreach=foreach).step()
    assert param.tolist() == [1.0, 5.0]


def test_fused_sgd_refuses_sparse_gradients() -> None:
    param = parameter()
    param.grad = torch.ones(2).to_sparse()
    with pytest.raises(RuntimeError, match="sparse"):
        torch.optim.SGD([param], lr=0.1, fused=True).step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_in_two_groups_is_refused(name: str) -> None:
    param = parameter()
    with pytest.raises(ValueError, match="more than one parameter group"):
        OPTIMIZERS[name]([{"params": [param]}, {"params": [param]}], lr=0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_parameter_twice_in_a_group_is_warned_of(name: str) -> None:
    param = parameter()
    with pytest.warns(UserWarning, match="duplicate"):
        OPTIMIZERS[name]([param, param], lr=0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        OPTIMIZERS[name]([], lr=0.1)
