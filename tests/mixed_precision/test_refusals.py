"""What GradScaler refuses: calls out of order, and gradients that it cannot unscale."""

from collections.abc import Callable
from typing import Any

import pytest
import torch


def scaled(
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.amp.GradScaler, torch.optim.Optimizer]:
    """A scaler and an optimizer after the backward pass of a scaled loss."""
    param = torch.ones(2, dtype=dtype, requires_grad=True)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(param.sum()).backward()
    return scaler, torch.optim.SGD([param], lr=0.5)


OUT_OF_ORDER: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "unscaled twice": (
        lambda scaler, opt: (scaler.unscale_(opt), scaler.unscale_(opt)),
        r"unscale_\(\) has already been called",
    ),
    "unscaled after the step": (
        lambda scaler, opt: (scaler.step(opt), scaler.unscale_(opt)),
        r"unscale_\(\) is being called after step\(\)",
    ),
    "stepped twice": (
        lambda scaler, opt: (scaler.step(opt), scaler.step(opt)),
        r"step\(\) has already been called since the last update\(\)",
    ),
    "a closure": (
        lambda scaler, opt: scaler.step(opt, closure=lambda: 0.0),
        "Closure use is not currently supported",
    ),
    "nothing saved": (
        lambda scaler, opt: scaler.load_state_dict({}),
        "The source state dict is empty",
    ),
}


@pytest.mark.parametrize("misuse", OUT_OF_ORDER)
def test_calls_out_of_order_are_refused(misuse: str) -> None:
    call, message = OUT_OF_ORDER[misuse]
    with pytest.raises(RuntimeError, match=message):
        call(*scaled())


@pytest.mark.parametrize("method", ["unscale_", "step", "update"])
def test_a_scaler_that_scaled_nothing_has_no_scale_to_take_out(method: str) -> None:
    """Which torch asserts, as it does the two below."""
    _, opt = scaled()
    scaler = torch.amp.GradScaler("cpu")
    with pytest.raises(AssertionError, match=f"Attempted {method} but _scale is None"):
        getattr(scaler, method)(*(() if method == "update" else (opt,)))


def test_an_update_needs_a_step_and_a_step_needs_a_gradient() -> None:
    scaler, opt = scaled()
    with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
        scaler.update()
    opt.zero_grad()
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        scaler.step(opt)


def test_float16_gradients_are_not_unscaled() -> None:
    """Their parameters would lose what scaling saved."""
    scaler, opt = scaled(torch.float16)
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(opt)


# The reference refuses the same: tests/references/test_grad_scaler.py.
@pytest.mark.parametrize("option", ["growth_factor", "backoff_factor"])
def test_factors_that_lead_the_other_way_are_refused(option: str) -> None:
    with pytest.raises(AssertionError, match=f"The {option.replace('_', ' ')} must be"):
        torch.amp.GradScaler("cpu", **{option: 1.0})  # type: ignore[arg-type]


def test_a_disabled_scaler_does_nothing() -> None:
    param = torch.ones(2, requires_grad=True)
    scaler, opt = torch.amp.GradScaler("cpu", enabled=False), torch.optim.SGD([param], lr=0.5)
    loss = param.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(opt)
    scaler.step(opt)
    scaler.update()
    assert param.tolist() == [0.5, 0.5]
    assert (scaler.get_scale(), scaler.state_dict()) == (1.0, {})
