"""The switches of torch, on matrix products, which they are about; and modes of calling."""

from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.border import to_numpy
from tests.harness.switches import switched
from tests.harness.targets import Target, Targets
from tests.harness.verdict import exactly
from tests.layers.test_linear import LinearCase, called, linear_cases, verify
from tests.losses.cases import CrossEntropyCase, cross_entropy_cases

SETTINGS: dict[str, dict[str, Any]] = {
    "bf16": {"mkldnn.matmul.fp32_precision": "bf16", "cuda.matmul.fp32_precision": "tf32"},
    "tf32": {"mkldnn.matmul.fp32_precision": "tf32", "cuda.matmul.fp32_precision": "tf32"},
    "medium": {"float32_matmul_precision": "medium"},
    "without oneDNN": {"mkldnn": False},
    "two threads": {"threads": 2},
    "sums in half": {
        "cuda.matmul.allow_fp16_accumulation": True,
        "cuda.matmul.allow_bf16_reduced_precision_reduction": False,
    },
}
few = settings(max_examples=settings().max_examples // 2)


@few
@given(case=linear_cases(), setting=st.sampled_from(tuple(SETTINGS)))
def test_linear_equals_the_reference_within_the_bound_of_each_setting(
    targets: Targets, case: LinearCase, setting: str
) -> None:
    with switched(SETTINGS[setting]):
        for dtype, paths in targets.by_dtype(setting):
            verify(case, dtype, paths)


@few
@given(case=linear_cases(), scores=cross_entropy_cases(), threads=st.integers(1, 2))
def test_deterministic_algorithms_give_the_same_bits_twice(
    targets: Targets, case: LinearCase, scores: CrossEntropyCase, threads: int
) -> None:
    with switched({"deterministic_algorithms": True, "threads": threads}):
        for _, paths in targets.by_dtype("deterministic"):
            for target in paths:
                same_bits("linear", target, *(called(case, target) for _ in "12"))
                same_bits("cross_entropy", target, *(loss_of(scores, target) for _ in "12"))


def loss_of(case: CrossEntropyCase, target: Target) -> tuple[torch.Tensor, dict[str, Any]]:
    input = case.input.tensor(target, requires_grad=True)
    weight = case.weight.tensor(target) if case.weight else None
    loss = F.cross_entropy(input, case.target.tensor(target), weight=weight, **case.options)
    loss.backward(case.grad_output.tensor(target))
    return loss, {"input": input.grad}


def same_bits(component: str, target: Target, *runs: Any) -> None:
    (y, grads), (y_again, grads_again) = runs
    exactly(component, "output", target, y_again, to_numpy(y))
    for name, grad in grads.items():
        if grad is not None:
            exactly(component, f"grad_{name}", target, grads_again[name], to_numpy(grad))


@few
@given(case=linear_cases())
def test_inference_mode_gives_the_same_bits_and_records_nothing(
    targets: Targets, case: LinearCase
) -> None:
    for _, paths in targets.by_dtype("inference mode"):
        for target in paths:
            arrays = [a for a in (case.input, case.weight, case.bias) if a]
            tensors = [a.tensor(target, requires_grad=True) for a in arrays]
            with torch.inference_mode():
                y = F.linear(*tensors)
            assert y.is_inference()
            assert not y.requires_grad
            assert y.grad_fn is None
            exactly("linear", "output", target, y, to_numpy(F.linear(*tensors)))
