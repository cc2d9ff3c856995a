"""How devices multiply matrices, simulated: each way is within its own bound, and no narrower one.

No CUDA device is needed: what tensor cores do to operands and sums is done here in NumPy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch

from tests.harness.comparison import Comparison
from tests.harness.formats import BFLOAT16, FLOAT16, FLOAT32, FORMATS, Format
from tests.harness.products import PART, TF32, Products, products_on
from tests.harness.propagation.elementary import Promised
from tests.harness.rounding import Rounding, with_products
from tests.harness.switches import switched

Array = np.ndarray
Chop = Callable[[Format, Array], Array]


def nearest(fmt: Format, x: Array) -> Array:
    return fmt.round(x)


def cut(fmt: Format, x: Array) -> Array:
    """Towards zero: the digits that do not fit are dropped."""
    rounded = fmt.round(x)
    too_far = np.abs(rounded) > np.abs(x)
    return np.where(too_far, rounded - np.copysign(fmt.ulp(rounded * (1 - 2.0**-30)), x), rounded)


@dataclass(frozen=True)
class Multiplier:
    """One way to multiply matrices: a column of one by a row of the other at a time."""

    factors: Format
    sums: Format
    chop: Chop = nearest
    parts: Format | None = None  # that sums of a few terms are stored in

    def __call__(self, a: Array, b: Array) -> Array:
        a, b = self.chop(self.factors, a), self.chop(self.factors, b)
        terms = [a[:, k, None] * b[k] for k in range(a.shape[1])]
        if self.parts is None:
            return reduce(self.add, terms[1:], self.chop(self.sums, terms[0]))
        parts = [reduce(self.add, terms[k : k + PART]) for k in range(0, len(terms), PART)]
        store = self.parts.round
        return reduce(lambda x, y: store(x + y), map(store, parts))

    def add(self, x: Array, y: Array) -> Array:
        return self.chop(self.sums, x + y)


SHORT = replace(TF32, times=1.0)  # the format itself, of which each rounding counts once
PLAIN = Products()
CORES = replace(FLOAT32, times=2.0)
WAYS = {
    "TF32, cut": ("float32", Multiplier(SHORT, FLOAT32, cut), Products(TF32), PLAIN),
    "TF32, to nearest": ("float32", Multiplier(SHORT, FLOAT32), Products(TF32), PLAIN),
    "bfloat16 operands": ("float32", Multiplier(BFLOAT16, FLOAT32), Products(BFLOAT16), PLAIN),
    "float32 as float32": ("float32", Multiplier(FLOAT32, FLOAT32), PLAIN, None),
    "half in tensor cores": (
        *("float16", Multiplier(FLOAT16, FLOAT32, cut)),
        *(Products(sums=CORES), None),
    ),
    "half in parts": (
        *("float16", Multiplier(FLOAT16, FLOAT32, cut, FLOAT16)),
        *(Products(sums=CORES, parts=FLOAT16), Products(sums=CORES)),
    ),
    "bfloat16 in parts": (
        *("bfloat16", Multiplier(BFLOAT16, FLOAT32, cut, BFLOAT16)),
        *(Products(sums=CORES, parts=BFLOAT16), Products(sums=CORES)),
    ),
    "half added in half": (
        *("float16", Multiplier(FLOAT16, FLOAT16, cut)),
        *(Products(sums=replace(FLOAT16, times=2.0)), Products(sums=CORES, parts=FLOAT16)),
    ),
}
"""By name: the dtype, what is done, what admits it, and what must not."""


def worst_share(
    products: Products, dtype: str, got: Array, a: Array, b: Array
) -> tuple[float, bool]:
    """Of the bound, and whether anything is beyond it."""
    rounding = with_products(Rounding.kernel(dtype), products)
    stored: Any = rounding.stored(rounding.array(a) @ rounding.array(b))
    comparison = Comparison.of(FORMATS[dtype].round(got), stored, FORMATS[dtype])
    return comparison.tally().worst_share, bool(comparison.wrong.any())


def operands(random: np.random.Generator, terms: int, fmt: Format) -> tuple[Array, Array]:
    a, b = random.standard_normal((4, terms)), random.standard_normal((terms, 5))
    return fmt.round(a), fmt.round(b)


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_multiply_is_within_its_bound_and_beyond_a_narrower_one(way: str) -> None:
    dtype, multiply, admits, forbids = WAYS[way]
    random, shares, beyond = np.random.default_rng(1), [], 0
    sizes = 5 * (1, 2, 3, 15, 16, 17, 33, 64)
    for terms in sizes:
        a, b = operands(random, terms, FORMATS[dtype])
        share, wrong = worst_share(admits, dtype, multiply(a, b), a, b)
        assert not wrong, f"{terms} terms: {share} of the bound"
        shares.append(share)
        if forbids is not None:
            beyond += worst_share(forbids, dtype, multiply(a, b), a, b)[1]
    assert max(shares) > 0.2, "the bound is slack"
    if forbids is not None:
        assert beyond >= len(sizes) // 4, f"only {beyond} of {len(sizes)} were beyond"


def test_exact_products_stay_exact() -> None:
    random = np.random.default_rng(1)
    a, b = (random.integers(-8, 9, shape).astype(float) for shape in ((4, 20), (20, 5)))
    for products in (Products(TF32), Products(BFLOAT16), Products(sums=CORES, parts=FLOAT16)):
        dtype = "float16" if products.parts else "float32"
        rounding = with_products(Rounding.kernel(dtype), products)
        stored: Any = rounding.stored(rounding.array(a) @ rounding.array(b))
        assert not stored.bound.any()


def test_what_is_too_large_for_the_multiplier_may_be_infinite() -> None:
    rounding = with_products(Rounding.kernel("float32"), Products(BFLOAT16))
    largest = np.array([[FLOAT32.max]])
    stored: Any = rounding.stored(rounding.array(largest) @ rounding.array(np.array([[0.5]])))
    assert np.isinf(stored.bound).all()
    parts = with_products(Rounding.kernel("float16"), Products(sums=CORES, parts=FLOAT16))
    a, b = np.full((1, 17), 4095.0), np.full((17, 1), 3.0)
    many: Any = parts.array(a) @ parts.array(b)
    assert np.isinf(many.bound).all()
    many = parts.array(a[:, :16]) @ parts.array(b[:16])
    assert np.isfinite(many.bound).all()
    long: Any = with_products(Rounding.kernel("bfloat16"), Products(sums=CORES, parts=BFLOAT16))
    a = BFLOAT16.round(np.random.default_rng(1).random((1, 4096)))
    assert np.isinf((long.array(a) @ long.array(a.T)).bound).all()  # so many parts say nothing


# The table


TENSOR, HALF_SUMS = Products(sums=CORES), Products(sums=replace(FLOAT16, times=2.0))
ROWS: list[tuple[str, str, dict[str, Any], Products]] = [
    ("cpu", "float64", {}, PLAIN),
    ("cuda", "float64", {"fp32_precision": "tf32"}, PLAIN),
    ("cpu", "float32", {}, PLAIN),
    ("cpu", "float16", {}, PLAIN),
    ("cuda:1", "float32", {}, PLAIN),
    ("cuda:1", "float32", {"fp32_precision": "ieee"}, PLAIN),
    ("cuda:1", "float32", {"fp32_precision": "tf32"}, Products(TF32)),
    ("mps", "bfloat16", {}, TENSOR),
    ("cuda", "bfloat16", {}, Products(None, CORES, BFLOAT16)),
    ("cuda", "float16", {}, Products(None, CORES, FLOAT16)),
    ("cuda", "bfloat16", {"allow_bf16_reduced_precision_reduction": False}, TENSOR),
    ("cuda", "float16", {"allow_fp16_reduced_precision_reduction": False}, TENSOR),
    (
        "cuda",
        "float16",
        {"allow_fp16_accumulation": True},
        Products(sums=replace(FLOAT16, times=2.0)),
    ),
    ("cuda", "bfloat16", {"allow_fp16_accumulation": True}, Products(None, CORES, BFLOAT16)),
]


@pytest.mark.parametrize(("device", "dtype", "settings", "expected"), ROWS)
def test_the_switches_of_cublas_choose_the_row(
    device: str, dtype: str, settings: dict[str, Any], expected: Products
) -> None:
    with switched({f"cuda.matmul.{name}": value for name, value in settings.items()}):
        assert products_on(device, dtype) == expected
        rounding = Rounding.kernel(dtype)
        assert rounding.on(device) is rounding.on(device)
        assert (rounding.on(device) is rounding) == (expected == PLAIN)


@pytest.mark.parametrize(
    ("precision", "factors"), [("bf16", BFLOAT16), ("tf32", TF32), ("ieee", None)]
)
def test_the_switch_of_onednn_is_that_of_the_cpu(precision: str, factors: Format | None) -> None:
    with switched({"mkldnn.matmul.fp32_precision": precision}):
        assert products_on("cpu", "float32") == Products(factors)
        assert products_on("cuda", "float32") == PLAIN


@pytest.mark.parametrize(
    ("precision", "cpu", "cuda"),
    [("highest", None, None), ("high", TF32, TF32), ("medium", BFLOAT16, TF32)],
)
def test_the_older_switch_sets_both(
    precision: str, cpu: Format | None, cuda: Format | None
) -> None:
    with switched({"float32_matmul_precision": precision}):
        assert products_on("cpu", "float32") == Products(cpu)
        assert products_on("cuda", "float32") == Products(cuda)


@pytest.mark.parametrize(("allowed", "expected"), [(True, Products(TF32)), (False, PLAIN)])
def test_the_oldest_switch_is_that_of_cublas_alone(allowed: bool, expected: Products) -> None:
    with switched({}):
        torch.backends.cuda.matmul.allow_tf32 = allowed
        assert products_on("cuda", "float32") == expected
        assert products_on("cpu", "float32") == PLAIN
    assert products_on("cuda", "float32") == PLAIN


def test_a_library_that_is_told_nothing_does_as_all() -> None:
    with switched({"fp32_precision": "tf32", "mkldnn.matmul.fp32_precision": "ieee"}):
        assert products_on("cuda", "float32") == Products(TF32)
        assert products_on("cpu", "float32") == PLAIN
    assert products_on("cuda", "float32") == PLAIN


@pytest.mark.parametrize(("kind", "ulp"), [("cpu", 1), ("cuda", 2)])
def test_functions_may_be_as_far_off_as_in_the_farthest_device_of_the_run(
    kind: str, ulp: int
) -> None:
    x = Rounding.kernel("float32").array(0.3)
    Promised.by({"cpu", kind})
    exponential, inverse = np.exp(x), 1 / np.sqrt(x)
    Promised.by({"cpu"})
    for y in (exponential, inverse):
        assert ulp / 2 <= y.bound / (2 * FLOAT32.unit * y.value) <= 1.01 * ulp
