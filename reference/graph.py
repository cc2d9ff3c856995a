"""The computation graph: what the forward pass leaves behind, and `loss.backward()` walks.

Each operation on a tensor that needs a gradient leaves a node (the next file, `operations`, makes
it). The node knows how to turn the gradient of its output into those of its inputs, the values that
this takes, and the nodes that its inputs came from. So operations are the nodes, and gradients flow
along the edges; the chain rule for any program, its loops and branches included, is one loop:
`backward`. (`mlp` has the same walk written out by hand, for one network.)

Divergences from torch: no hooks, no gradients of gradients, no views but `detach`.
"""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np

NUMBERS = count(1)


class Tensor:
    """An array that knows where its gradient goes: to a node, or nowhere.

    >>> from reference.operations import multiply, sum
    >>> x = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    >>> y = sum(multiply(x, x))
    >>> y.backward()
    >>> y.is_leaf, x.is_leaf, x.grad.tolist()
    (False, True, [6.0, 8.0])
    """

    def __init__(self, values: Any, requires_grad: bool = False) -> None:
        # Shared by what `detach` returns; the version counts how often it was changed in place.
        self.memory = SimpleNamespace(values=values, version=0)
        self.node: Node | None = AccumulateGrad(self) if requires_grad else None
        self.output_nr = 0  # which of the node's outputs it is
        self.grad: Any = None

    values = property(lambda self: self.memory.values)
    requires_grad = property(lambda self: self.node is not None)
    is_leaf = property(lambda self: self.node is None or isinstance(self.node, AccumulateGrad))
    grad_fn = property(lambda self: None if self.is_leaf else self.node)

    def detach(self) -> "Tensor":
        """Return the same memory without the history: a constant, as far as gradients go."""
        detached = copy(self)
        detached.node, detached.grad = None, None
        return detached

    def retain_grad(self) -> None:
        """Ask for `.grad`, which only leaves get otherwise."""
        if self.node is None:
            raise RuntimeError("retain_grad: the tensor does not require grad")
        if not self.is_leaf and self not in self.node.retained:
            self.node.retained.append(self)

    def backward(self, grad: Any = None, retain_graph: bool = False) -> None:
        """Walk back from this one root; see `backward`."""
        backward([self], [grad], retain_graph)


@dataclass(eq=False)
class Node:
    """One application of an operation, as the backward pass sees it."""

    name: str
    backward: Callable[..., Any]  # (gradient of each output, saved values) -> of each input
    # Each value with the version that it must still have (None: any will do); None when freed.
    saved: list[tuple[Tensor, int | None]] | None
    next_functions: tuple[tuple["Node", int] | None, ...]  # each input's node, which output of it
    outputs: int = 1
    retained: list[Tensor] = field(default_factory=list)  # the outputs that asked for `.grad`
    number: int = field(default_factory=NUMBERS.__next__)  # counts the nodes as they are made

    def __call__(self, *grad_outputs: Any, retain_graph: bool = False) -> tuple[Any, ...]:
        """Turn the gradients of the outputs into those of the inputs."""
        for tensor in self.retained:
            if (grad := grad_outputs[tensor.output_nr]) is not None:
                accumulate(tensor, grad)
        if self.saved is None:
            raise RuntimeError(f"{self.name}: saved values were freed; walk with retain_graph=True")
        if any(version not in (None, tensor.memory.version) for tensor, version in self.saved):
            raise RuntimeError(f"{self.name}: a saved value has been changed in place")
        grads = self.backward(*grad_outputs, *(tensor.values for tensor, _ in self.saved))
        if not retain_graph and any(version is not None for _, version in self.saved):
            self.saved = None
        return grads if isinstance(grads, tuple) else (grads,)


class AccumulateGrad(Node):
    """Where every path ends: it adds what arrives to the `.grad` of a leaf."""

    def __init__(self, variable: Tensor) -> None:
        super().__init__("AccumulateGrad", lambda grad: accumulate(variable, grad), [], ())
        self.variable = variable


def accumulate(tensor: Tensor, grad: Any) -> None:
    """Add to `.grad`: whatever is used twice, or walked twice, gets the sum."""
    tensor.grad = grad if tensor.grad is None else tensor.grad + grad


def backward(
    roots: Sequence[Tensor], grads: Sequence[Any] | None = None, retain_graph: bool = False
) -> None:
    r"""Carry gradients from the roots to the leaves.

    A node may run once the gradients from all its users have arrived and been added up. Users are
    made after what they use. So of all nodes that something has arrived at, the newest waits for
    nothing more: it runs, once, and hands its results on.

    Symbols: v the gradients given, y the roots' values, x one leaf's, J the Jacobian dy/dx.

        x.grad <- x.grad + v^T J

    Args:
        roots: usually one, the loss.
        grads: v, for each root in its shape; None stands for 1, where the root is one number.
        retain_graph: keep the saved values, for another walk.

    Raises:
        RuntimeError: if a root has no node; a gradient is missing, or of another shape; a saved
            value was freed or changed.

    >>> from reference.operations import add, sum
    >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    >>> y = add(x, x)
    >>> backward([y, sum(y)], [np.array([10.0, 20.0]), None])
    >>> x.grad.tolist()
    [22.0, 42.0]

    Source: Griewank, Walther, "Evaluating Derivatives" (2008), chapter 3.
    """
    arrived: dict[Node, list[Any]] = {}  # at which nodes: for each output the sum, or None

    def deliver(node: Node, output_nr: int, grad: Any) -> None:
        sums = arrived.setdefault(node, [None] * node.outputs)
        sums[output_nr] = grad if sums[output_nr] is None else sums[output_nr] + grad

    grads = grads or [None] * len(roots)
    for root, grad in zip(roots, grads, strict=True):
        shape = root.values.shape
        if root.requires_grad and (math.prod(shape) != 1 if grad is None else grad.shape != shape):
            raise RuntimeError(f"grad: the root needs one of its shape, {shape}")
    for root, grad in zip(roots, grads, strict=True):
        if root.node is None:
            raise RuntimeError("root: it does not require grad, so no graph leads to it")
        seed = np.ones_like(root.values) if grad is None else grad  # dL/dL = 1
        deliver(root.node, root.output_nr, seed)
    while arrived:
        node = max(arrived, key=lambda node: node.number)
        grad_inputs = node(*arrived.pop(node), retain_graph=retain_graph)
        for edge, grad in zip(node.next_functions, grad_inputs, strict=False):  # constants get none
            if edge is not None:
                deliver(*edge, grad)
