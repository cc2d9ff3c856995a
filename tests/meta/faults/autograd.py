"""Faults of the graph: of what is recorded, of the walk back, and of what it leaves behind.

Those of the walk change what the nodes say and hear by their own hooks.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch.autograd.graph import Node, get_gradient_edge

from tests.meta.faults.catalogue import PLACES, Function, Place, fault
from tests.meta.faults.witnesses import numbers


def walked_twice() -> Any:
    """The gradient of a leaf, after two walks over a graph whose values are used twice."""
    x = numbers(3).requires_grad_()
    for _ in range(2):
        y = x * x
        torch.autograd.backward([y * y + y * x], [numbers(3)])
    return x.grad


def walked_again() -> Any:
    """The error for a graph that was freed."""
    x = numbers(3).requires_grad_()
    y = x * x
    for _ in range(2):
        torch.autograd.backward([y], [numbers(3)])
    return x.grad


def shared_gradient() -> Any:
    """Of two leaves that get the same gradient, that of one, when the other's was changed."""
    a, b = (numbers(3).requires_grad_() for _ in range(2))
    torch.autograd.backward([a + b], [numbers(3)])
    assert a.grad is not None
    a.grad.add_(1)
    return b.grad


def retained(then: Function = torch.relu) -> Any:
    """The gradient that a value was asked to keep, before something was done with it."""
    x = numbers(3).requires_grad_()
    y = 2 * x
    y.retain_grad()
    then(y).backward(numbers(3))
    return y.grad


def changed_in_place(part: Function = lambda y: y) -> Any:
    """The error for a saved value that was changed, all or a part of it."""
    x = numbers(3).requires_grad_()
    y = x.exp()
    part(y).mul_(2)
    y.backward(numbers(3))
    return x.grad


def hooked(answer: Any = lambda grad: None) -> Any:
    """Whatever a hook hears, and what becomes of the gradient."""
    heard: list[torch.Tensor] = []
    x = numbers(3).requires_grad_()
    x.register_hook(heard.append)
    x.register_hook(answer)
    (x * x).backward(numbers(3))
    return heard, x.grad


PLACES |= {
    "graph": Place(torch.autograd, "backward", walked_twice),
    "graph retain_grad": Place(torch.Tensor, "retain_grad", retained),
    "graph detach": Place(torch, "detach", lambda: torch.detach(2 * numbers(3).requires_grad_())),
    "graph in place": Place(torch.Tensor, "mul_", changed_in_place),
    "graph hook": Place(torch.Tensor, "register_hook", hooked),
}

GRADIENT = "graph: gradient on cpu float32 "


def behind(tensors: Any) -> set[Node]:
    """All nodes that lie behind some tensors."""
    waiting = [get_gradient_edge(tensor).node for tensor in tensors if tensor.requires_grad]
    found: set[Node] = set()
    while waiting:
        node = waiting.pop()
        found.add(node)
        waiting += [edge for edge, _ in node.next_functions if edge and edge not in found]
    return found


@fault("graph", "autograd", message=GRADIENT)
def gradients_overwritten(sound: Function) -> Function:
    """A leaf gets its gradient instead of what it has plus its gradient."""

    def backward(tensors: Any, grads: Any, **options: Any) -> Any:
        for node in behind(tensors):
            if hasattr(node, "variable"):
                node.variable.grad = None
        return sound(tensors, grads, **options)

    return backward


@fault("graph", "autograd", message=GRADIENT)
def first_delivery_taken_for_all(sound: Function) -> Function:
    """A node runs as soon as one of its users has delivered; what the others send is lost."""

    def backward(tensors: Any, grads: Any, **options: Any) -> Any:
        first: dict[tuple[Node, int], torch.Tensor] = {}

        def hooked(node: Node) -> list[Any]:
            def delivers(grad_inputs: Any, grad_outputs: Any) -> None:
                for (edge, i), grad in zip(node.next_functions, grad_inputs, strict=False):
                    if edge is not None and grad is not None and (edge, i) not in first:
                        first[edge, i] = grad.clone()

            def runs(grad_outputs: Any) -> Any:
                return tuple(first.get((node, i), grad) for i, grad in enumerate(grad_outputs))

            return [node.register_hook(delivers), node.register_prehook(runs)]

        handles = [handle for node in behind(tensors) for handle in hooked(node)]
        try:
            return sound(tensors, grads, **options)
        finally:
            for handle in handles:
                handle.remove()

    return backward


@fault(
    "graph retain_grad", "autograd", message=r"graph: v\d+.grad on .* is None, but one is expected"
)
def request_ignored(sound: Function) -> Function:
    """retain_grad() asks for nothing."""
    return lambda self: sound(self) if self.is_leaf else None  # type: ignore[return-value]


@fault(
    "graph detach", "autograd", message=r"graph: v\d+.requires_grad on .* is True, expected False"
)
def history_kept(sound: Function) -> Function:
    """The result of detach() is still part of the graph."""
    return lambda x: x.view_as(x)


@fault("graph in place", "autograd", message="'no error', expected 'a saved value changed'")
def change_not_counted(sound: Function) -> Function:
    """A change in place leaves the version of the values as it was."""

    def mul_(self: torch.Tensor, other: Any) -> torch.Tensor:
        with torch.autograd._unsafe_preserve_version_counter(self):  # type: ignore[attr-defined]
            return sound(self, other)

    return mul_


@fault("graph hook", "registration", message=r"graph: the hook of v\d+ on .* ran 2 times")
def hook_run_twice(sound: Function) -> Function:
    """A hook that is registered once runs twice."""

    def register_hook(self: torch.Tensor, hook: Any) -> Any:
        sound(self, hook)
        return sound(self, hook)

    return register_hook


@fault(
    "graph",
    "autograd",
    witness=walked_again,
    message="'no error', expected 'the graph was freed'",
)
def always_retained(sound: Function) -> Function:
    """What a graph has saved is never freed: who walks it again by mistake is not told."""

    def backward(tensors: Any, grads: Any, retain_graph: Any = None, **options: Any) -> Any:
        return sound(tensors, grads, retain_graph=True, **options)

    return backward


@fault("graph", "aliasing", witness=shared_gradient, message=GRADIENT)
def gradients_share_memory(sound: Function) -> Function:
    """Leaves that get the same gradient get the same tensor: what one adds to, the other has."""

    def backward(tensors: Any, grads: Any, **options: Any) -> Any:
        sound(tensors, grads, **options)
        leaves = [node.variable for node in behind(tensors) if hasattr(node, "variable")]
        for leaf, other in pairwise(leaves):
            if leaf.shape == other.shape and torch.equal(leaf.grad, other.grad):
                other.grad = leaf.grad

    return backward


@fault(
    "graph in place",
    "autograd",
    witness=lambda: changed_in_place(lambda y: y[:1]),
    message="'no error', expected 'a saved value changed'",
)
def change_of_a_part_not_counted(sound: Function) -> Function:
    """A change in place of a view leaves the version of what it is a view of (#24413, #49824)."""

    def mul_(self: torch.Tensor, other: Any) -> torch.Tensor:
        if not self._is_view():
            return sound(self, other)
        with torch.autograd._unsafe_preserve_version_counter(self):  # type: ignore[attr-defined]
            return sound(self, other)

    return mul_


@fault(
    "graph retain_grad",
    "autograd",
    witness=lambda: retained(lambda y: y.mul_(2)),
    message=r"graph: v\d+.grad on",
)
def first_version_retained(sound: Function) -> Function:
    """After a change in place, the gradient that is kept is that of the old value (#79996)."""

    def retain_grad(self: torch.Tensor) -> None:
        if not self.is_leaf:
            self.register_hook(lambda grad: setattr(self, "grad", grad))

    return retain_grad  # type: ignore[return-value]


@fault(
    "graph hook",
    "registration",
    witness=lambda: hooked(lambda grad: 2 * grad),
    message="",
)
def answer_of_a_hook_ignored(sound: Function) -> Function:
    """What a hook returns does not take the place of the gradient."""

    def register_hook(self: torch.Tensor, hook: Any) -> Any:
        def without_answer(grad: torch.Tensor) -> None:
            hook(grad)

        return sound(self, without_answer)

    return register_hook
