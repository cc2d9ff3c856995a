"""Memory layouts as torch's BatchNorm on the CPU sees them: by them it chooses its kernels."""

import math

import torch


def is_dense(tensor: torch.Tensor) -> bool:
    """Without gaps, its channels first or last."""
    return tensor.is_contiguous() or has_channels_last(tensor)


def has_channels_last(tensor: torch.Tensor) -> bool:
    """Whether torch's kernels for channels in the innermost place take it."""
    if math.prod(tensor.shape[2:]) == 1 and tensor.is_contiguous():
        return True
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    if last is None or tensor.is_contiguous():
        return False
    return tensor.is_contiguous(memory_format=last)


def one_kernel(input: torch.Tensor, grad_output: torch.Tensor) -> bool:
    """Whether torch takes them for alike, and one kernel for the whole of the backward pass."""
    return (
        is_dense(input)
        and is_dense(grad_output)
        and suggests_channels_last(input) == suggests_channels_last(grad_output)
    )


def suggests_channels_last(tensor: torch.Tensor) -> bool:
    """What torch guesses from the strides, those of sides of length 1 included."""
    if tensor.dim() not in {4, 5}:
        return False
    least = 0
    for axis in (1, *range(tensor.dim() - 1, 1, -1), 0):
        side, stride = tensor.shape[axis], tensor.stride(axis)
        if side == 0 or stride < least or (axis == 0 and least == tensor.stride(1)):
            return False
        least = stride * side
    return tensor.stride(1) > 0


def lie_alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether equal indices are equally far from the first element."""
    strides = zip(one.shape, one.stride(), other.stride(), strict=True)
    return all(s == t for side, s, t in strides if side > 1)
