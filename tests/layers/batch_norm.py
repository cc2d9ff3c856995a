"""What BatchNorm is expected to give, and where torch's kernels for it round."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from reference.batch_norm import batch_norm, batch_norm_backward, inverse_std
from reference.batch_statistics import (
    all_but_channels,
    batch_statistics,
    per_channel,
    running_statistics,
    values_per_channel,
)
from tests.harness.formats import FORMATS
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding


@dataclass(frozen=True)
class Kernels:
    """Where torch rounds, in one dtype of the input and one of everything that has one per channel.

    Its kernels for half types compute in float32. On the CPU, where all is in the half type, they
    store the batch's mean and inverse standard deviation in it; and where the memory has gaps, or
    the gradient lies otherwise than the input, half-type operations follow one another instead.
    """

    dtype: str
    params: str
    device: str
    dense: bool  # the input
    alike: bool  # input and gradient are dense and, as torch sees it, lie alike
    rounds_mean: bool = True  # whether the rounding of a batch's mean to the half type is admitted
    batched: bool = False  # vmap normalises in one kernel, and scales and shifts in others
    copied: bool = False  # a traced graph has copies of the running statistics, which are dense
    generated: bool = False  # by torch.compile, which computes as other devices than the CPU do

    @property
    def on_cpu(self) -> bool:
        return torch.device(self.device).type == "cpu" and not self.generated

    @property
    def half_throughout(self) -> bool:
        return self.on_cpu and FORMATS[self.params].precision < 24

    @property
    def saves_in_half(self) -> bool:
        """What generated code goes back with is what it went forth with, rounded as on the CPU."""
        return self.generated and replace(self, generated=False).half_throughout

    @property
    def stores(self) -> tuple[Any, ...]:
        """The inverse standard deviation is the quotient of a formula."""
        return (np.true_divide,) if self.half_throughout else ()

    def array(self, x: Any) -> Any:
        return Rounding.kernel(self.dtype).array(x)

    def statistics(self, input: Any) -> Any:
        """Mean and variance of a batch, as they are handed on."""
        kernel, count = Rounding.kernel(self.dtype), max(values_per_channel(input), 1)
        x = self.array(input)
        if not self.on_cpu:  # nothing is exact, for the mean need not come from a sum
            x = Rounded(kernel, x.value, x.closed_bound)
        mean: Any
        mean, var = batch_statistics(x)
        if not self.on_cpu:
            mean = Rounded(kernel, mean.value, mean.bound + corrected(kernel, x, count))
        if self.half_throughout and self.rounds_mean:
            mean, var = with_stored_mean(kernel, mean, var, count)
        if self.half_throughout and self.dtype == "bfloat16":
            # The sum of squares is stored, too, and divided in bfloat16; in float16 it might
            # overflow, and stays in float32.
            op_by_op = Rounding.op_by_op(self.dtype)
            var = op_by_op.array(op_by_op.stored(var * count)) / count
        return mean, var

    def running(self, before: Any, batch: Any, **options: Any) -> Any:
        """The running statistics as they lie in memory."""
        kind = Rounding.op_by_op if self.half_throughout else Rounding.kernel
        rounding = kind(self.params)
        for name in ("momentum", "batches"):  # tracked, because 1 - momentum cancels
            if options.get(name) is not None:
                options[name] = rounding.scalar(float(options[name]))
        arrays = (rounding.array(x) for x in (*before, *batch))
        return tuple(rounding.stored(x) for x in running_statistics(*arrays, **options))

    def output(self, *arrays: Any, eps: float) -> Rounded:
        """y = (x - mean) s w + b or, as good, y = x a + (b - mean a), with s = 1 / std, a = s w.

        However far a is off, it is the same in x a and in mean a, so what the first form inherits
        bounds the second's inheritance as well. What the second adds is the rounding of a, which
        x - mean multiplies, and those of x a, mean a and their sum with b.
        """
        if self.batched and any(v is not None for v in arrays[3:]):
            ops = Rounding.op_by_op(self.dtype)
            normalised = ops.array(self.output(*arrays[:3], None, None, eps=eps))
            w, b = (
                None if v is None else per_channel(v, normalised) for v in read(ops, *arrays[3:])
            )
            scaled = normalised if w is None else normalised * w
            return ops.stored(scaled if b is None else scaled + b)
        if self.half_throughout and (self.batched or not self.dense):
            op_by_op = Rounding.op_by_op(self.dtype)
            by_ops = op_by_op.stored(batch_norm(*read(op_by_op, *arrays), eps=eps))
            if not (self.batched or self.copied):
                return by_ops
            # vmap's own copies are dense or not, as the sides of length 1 have it.
            alone = replace(self, dense=True, batched=False)
            kernel_gives = alone.output(*arrays, eps=eps)
            bound = np.maximum(by_ops.bound, kernel_gives.bound)
            return Rounded(by_ops.rounding, by_ops.value, bound)
        kernel = Rounding.kernel(self.dtype, stores=self.stores)
        x, mean, var, w, b = read(kernel, *arrays)
        y: Any = batch_norm(x, mean, var, w, b, eps=eps)
        scale = inverse_std(var, eps) if w is None else inverse_std(var, eps) * w

        def largest(z: Any) -> Any:
            return Rounded(kernel, np.abs(z.value) + z.closed_bound, last_bit=z.last_bit)

        with np.errstate(all="ignore"):
            a: Any = per_channel(largest(scale), x)
            terms: Any = largest(x) * a + per_channel(largest(mean), x) * a
            terms = terms if b is None else terms + per_channel(largest(b), x)
            distance = np.abs(x.value - per_channel(mean.value, x))
            second = terms.bound + distance * kernel.compute.half_ulp(a.value)
            error = y.bound + np.where(np.isnan(second), np.inf, second)  # 0 times infinity
            error = np.where(np.isfinite(y.value), error, y.bound)
        return kernel.stored(Rounded(kernel, y.value, error))

    def gradients(self, *arrays: Any, eps: float, training: bool) -> dict[str, Rounded]:
        kernel = Rounding.kernel(self.dtype, stores=self.stores)
        rounding = kernel if self.alike and not self.batched else Rounding.op_by_op(self.dtype)
        g, x, mean, var, w = read(rounding, *arrays)
        options: Any = {"eps": eps, "training": training}
        grads = batch_norm_backward(g, x, mean, var, w, **options)
        if self.batched and w is not None:
            scaled = rounding.array(rounding.stored(g * per_channel(w, g)))
            normalised = (x - per_channel(mean, x)) * per_channel(inverse_std(var, eps), x)
            grad_weight: Any = (g * normalised).sum(axis=all_but_channels(x))
            grad_input = batch_norm_backward(scaled, x, mean, var, **options)[0]
            grads = (grad_input, grad_weight, grads[2])
        names = ("input", "weight", "bias")
        stores = (rounding, *2 * (Rounding.kernel(self.params),))
        return {n: s.stored(g) for n, s, g in zip(names, stores, grads, strict=True)}


def read(rounding: Rounding, *arrays: Any) -> Any:
    return [None if x is None else rounding.array(x) for x in arrays]


def corrected(kernel: Rounding, x: Any, count: int) -> np.ndarray:
    """How far a mean may be off that each value, or each half of the values, corrects in its turn.

    The k-th of n corrections is u times the mean so far, the distance to it and their quotient off,
    and later ones leave k/n of that: together less than n + 4 roundings of the mean of |x|.
    """
    with np.errstate(all="ignore"):
        mean = x.absolute.sum(axis=all_but_channels(x)) / count
    return (count + 4) * kernel.compute.unit * mean


def with_stored_mean(kernel: Rounding, mean: Any, var: Any, count: int) -> tuple[Any, Any]:
    """Mean and variance where the mean is rounded to the half type before it is taken off.

    Where the half type holds the mean, nothing is lost, and nothing more is admitted. Where it does
    not, and |mean| is large against the standard deviation, the answer is lost; see the ledger,
    `batch-norm-rounds-its-mean`. Admitted here is that one rounding, so that the rest is verified:
    a mean off by d makes the mean square of what is left d^2 larger, itself a sum that rounds.
    """
    rounded = kernel.storage.half_ulp(np.abs(mean.value) + mean.bound)
    lost = np.where(kernel.storage.holds(mean.value), 0.0, rounded)
    square = lost * lost * (1 + 2 * (count + 4) * kernel.compute.unit)
    return (
        Rounded(kernel, mean.value, mean.bound + lost),
        Rounded(kernel, var.value, var.bound + square),
    )
