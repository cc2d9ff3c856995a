"""What the second device refuses: a run of its own, which `test_devices.py` starts."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F

from tests.harness.border import to_numpy

X = torch.arange(6.0).reshape(2, 3)


def test_tensors_say_where_they_are_and_lie_as_on_the_cpu() -> None:
    x = X.to("second")
    assert x.device.type == "second"
    assert (x.t().stride(), x[1:, ::2].storage_offset()) == ((1, 3), 3)
    assert x.untyped_storage().nbytes() == 24
    x.t()[2, 1] = 7
    assert to_numpy(x).tolist() == [[0, 1, 2], [3, 4, 7]]
    assert repr(x[0]) == "tensor([0., 1., 2.], device='second:0')"


def test_results_stay_there() -> None:
    x, w = (X.to("second").requires_grad_() for _ in "xw")
    y = F.mse_loss(F.linear(x, w), torch.zeros(2, 2, device="second"))
    y.backward()
    assert x.grad is not None
    assert {y.device.type, x.grad.device.type} == {"second"}
    assert torch.nonzero(x).device.type == "second"  # which makes room as it goes


def test_two_devices_do_not_mix() -> None:
    x = X.to("second")
    with pytest.raises(RuntimeError, match="expected all tensors on second, found one on the CPU"):
        x + X
    assert (x + torch.tensor(1.0)).device.type == "second"  # a number, as on CUDA


def test_data_leave_by_the_border_only() -> None:
    x = X.to("second")
    for leave in (torch.Tensor.cpu, torch.Tensor.tolist, X.copy_):
        with pytest.raises(RuntimeError, match="data leave second, and not through"):
            leave(x)
    assert to_numpy(x).tolist() == X.tolist()
    assert x.sum().item() == 15


def test_a_generator_belongs_to_its_device() -> None:
    x, ours = X.to("second"), torch.Generator("second").manual_seed(1)
    with pytest.raises(RuntimeError, match="expected a generator of second"):
        x.normal_(generator=torch.Generator().manual_seed(1))
    assert torch.equal(to_tensor(x.normal_(generator=ours)), normal(1))
    torch.manual_seed(2)
    with torch.random.fork_rng(["second"], device_type="second"):
        x.normal_()
    assert torch.equal(to_tensor(x.normal_()), normal(2))


def to_tensor(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(to_numpy(x)).float()


def normal(seed: int) -> torch.Tensor:
    return torch.empty_like(X).normal_(generator=torch.Generator().manual_seed(seed))


def test_copies_and_files_stay_there() -> None:
    x, file = X.to("second"), io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    copies = (copy.deepcopy(x), torch.load(file, weights_only=True))
    assert copy.deepcopy(X).device.type == "cpu"
    for other in copies:
        assert other.device.type == "second"
        assert torch.equal(other, x)
