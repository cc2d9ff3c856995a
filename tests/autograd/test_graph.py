"""The graph: drawn programs, on torch and on the reference's graph.

Both run the same program. Values, gradients, the gradients that pass by on the way, the graph
itself and, where a program misuses it, the error must be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from hypothesis import given, settings

from reference.graph import Tensor
from tests.autograd.drawing import programs
from tests.autograd.libraries import REFERENCE, TORCH, Library
from tests.autograd.misuses import misuse
from tests.autograd.programs import Program
from tests.autograd.structure import same_graph
from tests.claims.claim import Claim, holds
from tests.harness.rounding import Rounding
from tests.harness.targets import Target, Targets
from tests.harness.verdict import ACCEPTED, REFUSED, Deviation, check


class Run:
    """One library on its way through a program."""

    def __init__(
        self, library: Library, program: Program, leaves: list[Any], watch: Callable[[Any], Any]
    ) -> None:
        self.library, self.program, self.watch = library, program, watch
        self.values = list(leaves)
        self.seen: list[Any] = [None] * len(leaves)  # of each value by `watch`: its gradient

    def steps(self) -> str:
        """Run all steps; the misuse that ended it, if any."""
        with misuse() as found:
            for step in self.program.steps:
                new = step.run(self.library, self.values)
                self.values += new
                self.seen += [self.watch(value) for value in new]
        return found[0]

    def walk(self, number: int, grads: list[Any]) -> str:
        """Run one walk back; the misuse that ended it, if any."""
        walk = self.program.walks[number]
        if walk.clear:
            for value in self.values:
                value.grad = None
        with misuse() as found:
            roots = [self.values[root] for root in walk.roots]
            self.library.backward(roots, grads, retain_graph=walk.retain_graph)
        return found[0]


def watch_torch(value: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor] | None:
    """A list that gets the gradient of a value whenever one has arrived, and how many have."""
    if not value.requires_grad or value.is_leaf:
        return None
    arrivals: list[torch.Tensor] = []
    count = torch.zeros(())

    def hook(grad: torch.Tensor) -> None:
        arrivals.append(grad)
        count.add_(1)

    value.register_hook(hook)
    return arrivals, count


def watch_reference(value: Tensor) -> Tensor | None:
    """A second tensor in the value's place, to retain its gradient; it stays at the node."""
    if value.is_leaf:
        return None
    watcher = copy(value)
    watcher.grad = None
    watcher.retain_grad()
    return watcher


@given(program=programs())
@settings(max_examples=2 * settings().max_examples)  # a program has many parts, and costs little
def test_programs_have_the_values_gradients_and_errors_of_the_reference(
    targets: Targets, program: Program
) -> None:
    for dtype, paths in targets.by_dtype("functional"):
        rounding = Rounding.op_by_op(dtype)
        numbers = [leaf.numbers(dtype) for leaf in program.leaves]
        for target in paths:
            leaves = [
                Tensor(rounding.array(x), needed)
                for x, needed in zip(numbers, program.requires_grad, strict=True)
            ]
            expected = Run(REFERENCE, program, leaves, watch_reference)
            tensors = [
                leaf.tensor(target, needed)
                for leaf, needed in zip(program.leaves, program.requires_grad, strict=True)
            ]
            actual = Run(TORCH, program, tensors, watch_torch)

            same_misuse(target, "the steps", actual.steps(), misused := expected.steps())
            if misused:
                continue
            for position, (x, y) in enumerate(zip(actual.values, expected.values, strict=True)):
                same_state(target, f"v{position}", x, y)
                check("graph", "value", target, x, rounding.stored(y.values))
            for number, walk in enumerate(program.walks):
                grads = [g and g.tensor(target) for g in walk.grads]
                arrays = [g and rounding.array(g.numbers(dtype)) for g in walk.grads]
                where = f"walk {number}"
                same_misuse(
                    target,
                    where,
                    actual.walk(number, grads),
                    misused := expected.walk(number, arrays),
                )
                if misused:
                    break
                for position, (x, y) in enumerate(zip(actual.values, expected.values, strict=True)):
                    grad = x.grad if x.is_leaf or x.retains_grad else None  # else torch warns
                    same_gradient(target, f"v{position}.grad", grad, y.grad, rounding, x)
                check_arrivals(target, actual, expected, rounding)


@holds(
    "G4",
    "non-leaves have a grad_fn, leaves None; next_functions lead to AccumulateGrad",
    "whose variable is the parameter itself; node for node as in `reference/graph.py`",
)
@given(program=programs())
def test_programs_have_the_graph_of_the_reference(
    claim: Claim, targets: Targets, program: Program
) -> None:
    for dtype, paths in list(targets.by_dtype("functional"))[:1]:  # the dtype makes no difference
        rounding = Rounding.op_by_op(dtype)
        for target in paths:
            leaves = [
                Tensor(rounding.array(leaf.numbers(dtype)), needed)
                for leaf, needed in zip(program.leaves, program.requires_grad, strict=True)
            ]
            expected = Run(REFERENCE, program, leaves, lambda value: None)
            tensors = [
                leaf.tensor(target, needed)
                for leaf, needed in zip(program.leaves, program.requires_grad, strict=True)
            ]
            actual = Run(TORCH, program, tensors, lambda value: None)
            if not (actual.steps() or expected.steps()):
                pairs = list(zip(actual.values, expected.values, strict=True))
                assert all(x.is_leaf == (x.grad_fn is None) for x, _ in pairs)
                same_graph(
                    [(f"v{i}", x, y) for i, (x, y) in enumerate(pairs)],
                    dict(zip(leaves, tensors, strict=True)),
                )
    w = torch.nn.Parameter(torch.tensor(3.0))
    node = (w * w).grad_fn
    assert node is not None
    ends = [end for end, _ in node.next_functions if end is not None]
    assert all(getattr(end, "variable", None) is w for end in ends)
    claim.shows(
        f"w * w: {node.name()}, with {len(ends)} edges to {len(set(ends))} node,"
        f" {ends[0].name().rpartition('::')[2]}, whose variable is w"
    )


def check_arrivals(target: Target, actual: Run, expected: Run, rounding: Rounding) -> None:
    """Each node that the walk came to got its gradient once, and all of it."""
    for position, (seen, watcher) in enumerate(zip(actual.seen, expected.seen, strict=True)):
        if watcher is None:
            assert seen is None, f"v{position} is a leaf in the reference only"
            continue
        assert seen is not None, f"v{position} is a leaf in torch only"
        arrivals, count = seen
        if len(arrivals) > 1:
            text = f"graph: the hook of v{position} on {target} ran {len(arrivals)} times"
            raise Deviation(text, count, right="got.item() == 1")
        count.zero_()
        arrived = arrivals.pop() if arrivals else None
        name = f"the gradient on its way to v{position}"
        same_gradient(target, name, arrived, watcher.grad, rounding)
        watcher.grad = None


def same_gradient(
    target: Target, name: str, actual: Any, expected: Any, rounding: Rounding, of: Any = None
) -> None:
    """`of` is the tensor whose `.grad` this is, if it is."""
    if (actual is None) != (expected is None):
        wanted = "one is expected" if actual is None else "none is expected"
        right = "got.grad is None"
        if actual is None:
            right = "(got.is_leaf or got.retains_grad) and got.grad is not None"
        raise Deviation(f"graph: {name} on {target} is {actual}, but {wanted}", of, right=right)
    if expected is not None:
        check("graph", "gradient", target, actual, rounding.stored(rounding.operand(expected)))


def same_misuse(target: Target, where: str, actual: str, expected: str) -> None:
    if actual != expected:
        raise Deviation(
            f"graph: {where} on {target} end in {actual or 'no error'!r},"
            f" expected {expected or 'no error'!r}",
            right=REFUSED if not actual else "" if expected else ACCEPTED,
        )


def same_state(target: Target, name: str, actual: torch.Tensor, expected: Tensor) -> None:
    for attribute in ("requires_grad", "is_leaf"):
        got, wanted = getattr(actual, attribute), getattr(expected, attribute)
        if got != wanted:
            text = f"graph: {name}.{attribute} on {target} is {got}, expected {wanted}"
            raise Deviation(text, actual, right=f"got.{attribute} is {wanted}")
