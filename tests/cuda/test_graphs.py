"""Steps recorded in CUDA graphs and replayed, other streams, and kernels without an order."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reference.linear import linear, linear_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import check
from tests.optimizers.test_compiled import OPTIMIZERS, OPTIONS, reference

WARM_UP = 3  # eager steps on a side stream, which torch asks for before it records

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(),
    reason="needs a GPU: docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs",
)


def cuda_targets(targets: Targets, path: str) -> list[Target]:
    found = [Target(d, "float32", path) for d in targets.devices if d.startswith("cuda")]
    if not found or "float32" not in targets.dtypes:
        pytest.skip("float32 on CUDA is not asked for (--device cuda)")
    return found


def normal(seed: int, *shape: int) -> np.ndarray:
    """Numbers of float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(float)


@needs_cuda
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_replayed_step_equals_the_reference(targets: Targets, name: str) -> None:
    """The gradient changes in place between replays; the step count and the state live on."""
    rounding, numbers = Rounding.kernel("float32"), normal(0, 8, 33)
    flags = {} if name == "sgd" else {"capturable": True}
    for target in cuda_targets(targets, "graph"):
        start = torch.tensor(numbers[0], dtype=torch.float32, device=target.device)
        param = start.requires_grad_()
        param.grad = torch.zeros_like(param)
        opt = OPTIMIZERS[name]([param], foreach=False, **OPTIONS[name], **flags)
        state: dict[str, Any] = {"param": rounding.array(numbers[0])}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(target.device):
            side = torch.cuda.Stream()
            for number, grad in enumerate(numbers[1:], start=1):
                param.grad.copy_(torch.from_numpy(grad))
                if number <= WARM_UP:
                    side.wait_stream(torch.cuda.current_stream())
                    with torch.cuda.stream(side):
                        opt.step()
                    torch.cuda.current_stream().wait_stream(side)
                elif number == WARM_UP + 1:
                    with torch.cuda.graph(graph):  # which records, and does nothing
                        opt.step()
                if number > WARM_UP:
                    graph.replay()
                after = reference(name, state, rounding.array(grad), number)
                state = {key: rounding.stored(x) for key, x in after.items() if x is not None}
                for output, want in state.items():
                    got = param if output == "param" else opt.state[param][output]
                    check(name, output, target, got, want)


@needs_cuda
def test_another_stream_computes_the_same(targets: Targets) -> None:
    rounding = Rounding.kernel("float32")
    x, w, b, g = normal(1, 17, 33), normal(2, 9, 33), normal(3, 9), normal(4, 17, 9)
    output = rounding.stored(linear(*map(rounding.array, (x, w, b))))
    grads = map(rounding.stored, linear_backward(*map(rounding.array, (g, x, w))))
    expected = dict(zip(("input", "weight", "bias"), grads, strict=True))
    for target in cuda_targets(targets, "stream"):
        with torch.cuda.device(target.device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                leaves = [
                    torch.tensor(n, dtype=torch.float32, device=target.device).requires_grad_()
                    for n in (x, w, b)
                ]
                y = F.linear(*leaves)
                y.backward(torch.tensor(g, dtype=torch.float32, device=target.device))
            torch.cuda.current_stream().wait_stream(side)
        check("linear", "output", target, y, output)
        for (name, want), leaf in zip(expected.items(), leaves, strict=True):
            check("linear", f"grad_{name}", target, leaf.grad, want)


@needs_cuda
def test_two_runs_without_an_order_are_both_within_the_bound(targets: Targets) -> None:
    """nll_loss of images adds up with atomics: each run in an order of its own."""
    rounding, scores = Rounding.native("float32"), normal(5, 4, 3, 33, 33)
    labels = np.random.default_rng(6).integers(0, 3, (4, 33, 33))
    loss = rounding.stored(nll_loss(rounding.array(scores), labels))
    grad = rounding.stored(
        nll_loss_backward(rounding.array(np.asarray(1.0)), rounding.array(scores), labels)
    )
    for target in cuda_targets(targets, "twice"):
        for _ in range(2):
            x = torch.tensor(scores, dtype=torch.float32, device=target.device).requires_grad_()
            y = F.nll_loss(x, torch.from_numpy(labels).to(target.device))
            y.backward()
            check("nll_loss", "loss", target, y, loss)
            check("nll_loss", "grad_input", target, x.grad, grad)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_what_cannot_be_recorded_is_refused(name: str) -> None:
    """On the CPU there are no graphs."""
    param = torch.ones(2, requires_grad=True)
    param.grad = torch.ones(2)
    opt = OPTIMIZERS[name]([param], foreach=False, capturable=True)
    with pytest.raises(AssertionError, match="capturable=True"):
        opt.step()
