"""The lists of autocast, as torch documents them for the operations of this book."""

import pytest

from reference.autocast import autocast_dtype

HALF = ("bfloat16", "float16")


@pytest.mark.parametrize("device", ["cpu", "cuda", "xpu"])
@pytest.mark.parametrize("lower", HALF)
def test_each_operation_has_its_dtype(device, lower):
    for given in ("float32", *HALF):
        assert autocast_dtype("linear", given, lower, device) == lower
        for operation in ("cross_entropy", "nll_loss", "mse_loss", "l1_loss"):
            assert autocast_dtype(operation, given, lower, device) == "float32"
        for operation in ("relu", "threshold", "dropout", "batch_norm"):
            assert autocast_dtype(operation, given, lower, device) == given
        for operation in ("log_softmax", "softplus"):  # not in the list of the CPU
            wanted = given if device == "cpu" else "float32"
            assert autocast_dtype(operation, given, lower, device) == wanted
        for operation in ("linear", "mse_loss", "relu"):
            assert autocast_dtype(operation, "float64", lower, device) == "float64"


def test_what_has_no_list_is_refused():
    with pytest.raises(
        ValueError, match="lower_precision must be bfloat16 or float16, got float32"
    ):
        autocast_dtype("linear", "float32", "float32")
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, xpu, got mps"):
        autocast_dtype("linear", "float32", "float16", "mps")
