"""What torch's losses get wrong on the CPU: entries of the ledger, shown where they lie."""

from contextlib import suppress
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from tests.harness.doors import compiles, gradients
from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly

LARGE = 40000.0  # and twice that is beyond float16, whose largest number is 65504


@pytest.mark.parametrize("rows", [2, 4, 1024])
def test_a_mean_overflows_only_where_its_numbers_do(targets: Targets, rows: int) -> None:
    """`mean-of-losses-overflows`: in float16 the sum is stored before it is divided."""
    if "float16" not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip("float16 on the CPU, where this fault is, is not asked for")
    target = Target("cpu", "float16", "functional")
    second = torch.ones(rows, dtype=torch.int64)
    scores = torch.tensor([[0.0, -LARGE]] * rows, dtype=torch.float16)  # their own log_softmax
    surely_second = torch.tensor([[0.0, 1.0]] * rows, dtype=torch.float16)
    of_labels = F.nll_loss(scores, second), F.cross_entropy(scores, second)
    for loss in (*of_labels, F.cross_entropy(scores, surely_second)):
        exactly("mean of losses", "loss", target, loss, LARGE)

    scores = torch.full((rows, 2), -1.0, dtype=torch.float16, requires_grad=True)
    loss = F.nll_loss(scores, second, torch.full((2,), LARGE, dtype=torch.float16))
    (grad,) = torch.autograd.grad(loss, scores)
    exactly("mean of losses", "weighted loss", target, loss, 1.0)
    exactly("mean of losses", "grad_input", target, grad[:, 1], [-1 / rows] * rows)


@pytest.mark.parametrize("shape", [(65536, 1), (256, 1, 256)])
def test_more_rows_are_counted_than_the_largest_number(
    targets: Targets, shape: tuple[int, ...]
) -> None:
    """The same entry: without weights, the sum of theirs is a count, and infinite from 65520 on."""
    if "float16" not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip("float16 on the CPU, where this fault is, is not asked for")
    target = Target("cpu", "float16", "functional")
    scores = torch.full(shape, -1.0, dtype=torch.float16, requires_grad=True)
    loss = F.nll_loss(scores, torch.zeros(shape[:1] + shape[2:], dtype=torch.int64))
    (grad,) = torch.autograd.grad(loss, scores)
    exactly("mean of losses", "loss, many rows", target, loss, 1.0)
    exactly("mean of losses", "grad_input, many rows", target, grad.flatten()[:1], [-1 / 65536])


def test_a_batch_of_cases_leaves_zeros_beside_the_label(targets: Targets) -> None:
    """`nll-loss-vmap-spreads-nan`: weights that are all zero make the label's gradient 0 / 0."""
    for _, paths in targets.by_dtype("vmap"):
        for target in paths:
            zeros = torch.zeros(1, 2, dtype=target.torch_dtype, device=target.device)
            label = torch.tensor([0], device=target.device)
            loss = partial(F.nll_loss, weight=zeros[0])
            _, grads = gradients(target, loss, {"input": zeros, "target": label}, zeros.sum())
            assert grads["input"] is not None
            exactly("nll_loss batched", "grad_input", target, grads["input"][:, 1], [0.0])


@compiles
def test_a_compiled_loss_keeps_its_weights(targets: Targets) -> None:
    """`compiled-l1-loss-ignores-weights`: errors of 2 and 3, with weights of 1/2 and 4."""

    def weighted(input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.l1_loss(input, target, reduction="sum", weight=weight)  # type: ignore[call-arg]

    if "float32" not in targets.dtypes or "cpu" not in targets.devices:
        pytest.skip("float32 on the CPU is not asked for")
    target = Target("cpu", "float32", "compiled")
    weight = torch.tensor([0.5, 4.0])
    inputs = {"input": torch.tensor([1.0, 2.0]), "target": torch.tensor([3.0, 5.0])}
    loss, grads = gradients(target, weighted, inputs, torch.tensor(1.0))
    exactly("l1_loss", "weighted loss", target, loss, 13.0)
    assert grads["input"] is not None
    exactly("l1_loss", "grad of weighted loss", target, grads["input"], [-0.5, -4.0])


@pytest.mark.xfail(
    raises=ZeroDivisionError,
    strict=True,
    reason="divides by a Python 0; unreported, see github.com/pytorch/functorch/pull/866",
)
def test_a_batch_of_cases_takes_a_mean_of_no_errors() -> None:
    """Elsewhere the gradient is as empty as the input. Compiled, it fails in the same place."""
    empty = torch.ones(3, 0)
    torch.func.vmap(torch.func.grad(F.mse_loss))(empty, empty)


def on_the_cpu(targets: Targets, path: str) -> list[Target]:
    by_dtype = targets.by_dtype(path)
    return [t for _, paths in by_dtype for t in paths if torch.device(t.device).type == "cpu"]


def test_scores_may_have_their_classes_innermost(targets: Targets) -> None:
    """`nll-loss-refuses-channels-last`: in four dimensions the backward pass raises."""
    for target in on_the_cpu(targets, "functional"):
        scores = torch.zeros(2, 2, 2, 2, dtype=target.torch_dtype)
        scores = scores.contiguous(memory_format=torch.channels_last).requires_grad_()
        loss = F.nll_loss(scores, torch.zeros(2, 2, 2, dtype=torch.int64), reduction="sum")
        with suppress(RuntimeError):
            loss.backward()
        grad = torch.zeros_like(scores) if scores.grad is None else scores.grad
        exactly("nll_loss channels last", "grad_input", target, grad[:, 0].flatten(), [-1.0] * 8)


def test_targets_may_be_integers_in_forward_mode(targets: Targets) -> None:
    """`mse-loss-tangent-refuses-integers`: the derivative of (x - 1)² / 2 at 1/2 is -1/2."""
    for target in on_the_cpu(targets, "jvp"):
        x, moved = torch.tensor([[0.5, 1.5], [1.0, 0.0]], dtype=target.torch_dtype)
        tangent = torch.zeros((), dtype=target.torch_dtype)
        with suppress(RuntimeError):
            tangent = torch.func.jvp(lambda x: F.mse_loss(x, torch.tensor([1, 0])), (x,), (moved,))[
                1
            ]
        exactly("mse_loss of integers", "tangent", target, tangent, -0.5)
