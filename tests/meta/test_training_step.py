"""A small error anywhere in a step of the MNIST network is found, and where it is, is said."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.harness import verdict
from tests.harness.record import Record
from tests.harness.targets import Target
from tests.harness.verdict import Deviation
from tests.training.network import Nodes, initial, torch_backward, torch_forward
from tests.training.verify import verify_nodes

TARGET = Target("cpu", "float32", "mnist")
PARAMETERS = ("weight1", "bias1", "weight2", "bias2")
NODES = ("hidden_input", "hidden", "logits")
OUTPUTS = (*NODES, "loss", *(f"grad {name}" for name in (*NODES, *PARAMETERS)))


@pytest.fixture(autouse=True)
def record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of its own, so that the run's stays true."""
    monkeypatch.setattr(verdict, "RECORD", Record())


def made(output: str, nodes: Nodes, params: list[torch.Tensor]) -> Any:
    """What a step makes, by the name under which it is held."""
    tensors: dict[str, Any] = nodes._asdict() | dict(zip(PARAMETERS, params, strict=True))
    return tensors[output] if output in tensors else tensors[output.removeprefix("grad ")].grad


def step() -> tuple[np.ndarray, np.ndarray, Nodes, list[torch.Tensor]]:
    random = np.random.default_rng(1)
    images, labels = random.random((32, 784), np.float32), random.integers(0, 10, 32)
    params = [torch.from_numpy(p).requires_grad_() for p in initial(784)]
    nodes = torch_forward(params, images, labels)
    torch_backward(nodes)
    return images, labels, nodes, params


def test_a_sound_step_is_held() -> None:
    images, labels, nodes, params = step()
    verify_nodes("mnist", TARGET, images, labels, params, nodes)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_error_of_a_thousandth_is_found_where_it_is(output: str) -> None:
    images, labels, nodes, params = step()
    numbers = made(output, nodes, params).detach().view(-1)
    numbers[numbers.abs().argmax()] *= 1.001
    with pytest.raises(Deviation, match=rf"mnist: {output} on cpu float32 mnist deviates"):
        verify_nodes("mnist", TARGET, images, labels, params, nodes)


def test_a_gradient_that_is_missing_is_named() -> None:
    images, labels, nodes, params = step()
    params[0].grad = None
    with pytest.raises(Deviation, match=r"mnist: grad weight1 on .* is missing"):
        verify_nodes("mnist", TARGET, images, labels, params, nodes)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 3e38])
@pytest.mark.parametrize("output", OUTPUTS)
def test_what_is_not_finite_is_found_where_it_is(output: str, wrong: float) -> None:
    images, labels, nodes, params = step()
    made(output, nodes, params).detach().view(-1)[-1] = wrong
    with pytest.raises(Deviation, match=rf"mnist: {output} on cpu float32 mnist deviates"):
        verify_nodes("mnist", TARGET, images, labels, params, nodes)
