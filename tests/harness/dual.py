r"""Dual numbers: a value, and how it moves when the inputs move.

Their arithmetic is the chain rule, so a reference that is given duals also gives its derivative in
the direction in which they move: the Jacobian times v. They are what the complex step
(`tests/references/test_backward.py`) tends to: the value is the real part, the tangent the
imaginary part over the step. The parts may be any arrays; if they are `Rounded`, the derivative
carries a bound on the rounding error of an implementation that differentiates operation by
operation.

Second derivatives need no more than that. Let L = <g, f(x)>, where x stands for all inputs. The
backward pass computes B(g, x) = (df/dx)^T g, the gradient of L, and the double backward is handed v
and returns the gradients of <v, B(g, x)>:

    with respect to x:  (dB/dx)^T v = dB/dx v, because dB/dx is the Hessian of L, and symmetric;
                        that is the tangent of the backward pass when x moves along v
    with respect to g:  <v, (df/dx)^T g> = <df/dx v, g>, so it is df/dx v;
                        that is the tangent of the forward pass when x moves along v
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Rule = Callable[..., Any]

RULES: dict[Any, Rule] = {}  # NumPy function -> what it makes of duals


class Dual(NDArrayOperatorsMixin):
    """An array and its tangent, which is None if the array does not move."""

    def __init__(self, value: Any, tangent: Any = None) -> None:
        if tangent is not None and tangent.shape != value.shape:  # stretched by what does not move
            tangent = np.where(np.ones(value.shape, bool), tangent, 0.0)
        self.value, self.tangent = value, tangent

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    real = property(lambda self: self.value)  # decisions, and the shift of a softmax, do not move
    T = property(lambda self: each(self, lambda x: x.T))

    def reshape(self, *shape: int) -> Dual:
        return each(self, lambda x: x.reshape(*shape))

    def __getitem__(self, index: Any) -> Dual:
        return each(self, lambda x: x[index])

    def sum(self, axis: Any = None, keepdims: bool = False) -> Dual:
        return each(self, lambda x: x.sum(axis=axis, keepdims=keepdims))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Dual:
        if method != "__call__" or kwargs or ufunc not in RULES:
            raise TypeError(f"no rule for duals in np.{ufunc.__name__} ({method}, {kwargs})")
        return RULES[ufunc](*(x if isinstance(x, Dual) else Dual(x) for x in inputs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Dual:
        if func not in RULES:
            raise TypeError(f"no rule for duals in np.{func.__name__}: add one")
        return RULES[func](*args, **kwargs)


def rule(function: Any) -> Callable[[Rule], Rule]:
    """Register the rule of a NumPy function."""

    def register(implementation: Rule) -> Rule:
        RULES[function] = implementation
        return implementation

    return register


def each(x: Dual, linear: Callable[[Any], Any]) -> Dual:
    """A linear function of the array is the same function of its tangent."""
    return Dual(linear(x.value), moving(linear, x.tangent))


def moving(operation: Callable[..., Any], *tangents: Any) -> Any:
    """An operation on tangents, if there are any: what does not move has none."""
    return None if any(tangent is None for tangent in tangents) else operation(*tangents)


def total(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def less(a: Any, b: Any) -> Any:
    return a if b is None else -b if a is None else a - b


@rule(np.add)
def add(a: Dual, b: Dual) -> Dual:
    return Dual(a.value + b.value, total(a.tangent, b.tangent))


@rule(np.subtract)
def subtract(a: Dual, b: Dual) -> Dual:
    return Dual(a.value - b.value, less(a.tangent, b.tangent))


@rule(np.negative)
def negative(a: Dual) -> Dual:
    return each(a, lambda x: -x)


@rule(np.multiply)
def multiply(a: Dual, b: Dual) -> Dual:
    by_a = moving(lambda t: t * b.value, a.tangent)
    by_b = moving(lambda t: a.value * t, b.tangent)
    return Dual(a.value * b.value, total(by_a, by_b))


@rule(np.true_divide)
def divide(a: Dual, b: Dual) -> Dual:
    quotient = a.value / b.value
    numerator = less(a.tangent, moving(lambda t: quotient * t, b.tangent))
    return Dual(quotient, moving(lambda t: t / b.value, numerator))


@rule(np.matmul)
def matmul(a: Dual, b: Dual) -> Dual:
    by_a = moving(lambda t: t @ b.value, a.tangent)
    by_b = moving(lambda t: a.value @ t, b.tangent)
    return Dual(a.value @ b.value, total(by_a, by_b))


@rule(np.sqrt)
def sqrt(a: Dual) -> Dual:
    root = np.sqrt(a.value)
    return Dual(root, moving(lambda t: t / (2 * root), a.tangent))


@rule(np.exp)
def exp(a: Dual) -> Dual:
    power = np.exp(a.value)
    return Dual(power, moving(lambda t: power * t, a.tangent))


@rule(np.log)
def log(a: Dual) -> Dual:
    return Dual(np.log(a.value), moving(lambda t: t / a.value, a.tangent))


@rule(np.moveaxis)
def moveaxis(a: Dual, source: int, destination: int) -> Dual:
    return each(a, lambda x: np.moveaxis(x, source, destination))


@rule(np.where)
def where(condition: Any, a: Any, b: Any) -> Dual:
    """The choice itself does not move: this is the derivative away from the kink."""
    a, b = (x if isinstance(x, Dual) else Dual(x) for x in (a, b))
    tangents = (0.0 if x.tangent is None else x.tangent for x in (a, b))
    return Dual(np.where(condition, a.value, b.value), np.where(condition, *tangents))


def tangents(function: Callable[..., Any], *inputs: Any) -> Any:
    """How the results of a function move, given duals; None for one that does not."""
    moved = function(*inputs)
    return moved.tangent if isinstance(moved, Dual) else tuple(x.tangent for x in moved)
