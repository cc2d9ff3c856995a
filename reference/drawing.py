"""Pictures of a computation graph: as lines of text, and in the DOT language of Graphviz."""

from collections.abc import Iterator

import numpy as np

from reference.graph import AccumulateGrad, Node, Tensor


def nodes(root: Tensor) -> list[Node]:
    """List what a backward pass from a tensor visits, in the order in which it does.

    >>> from reference.operations import multiply, relu
    >>> x = Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> [node.name for node in nodes(relu(multiply(x, x)))]
    ['Relu', 'Multiply', 'AccumulateGrad']
    """
    found: set[Node] = set()
    waiting = [root.node] if root.node else []
    while waiting:
        node = waiting.pop()
        found.add(node)
        waiting += [edge[0] for edge in node.next_functions if edge and edge[0] not in found]
    return sorted(found, key=lambda node: -node.number)


def described(root: Tensor, names: dict[Tensor, str]) -> Iterator[tuple[int, str, str, list[int]]]:
    """Yield each node's number (from 1, in the order of making), title, gradient, and users."""
    visited = nodes(root)
    number = {node: len(visited) - place for place, node in enumerate(visited)}
    for node in visited:
        title, kept = node.name, node.retained
        if isinstance(node, AccumulateGrad):
            title, kept = f"{node.name} {names[node.variable]}", [node.variable]
        gradient = "; ".join(
            f"dL/d{names[t]:<2} {np.shape(t.grad)!s:<6} norm {np.linalg.norm(t.grad):.4f}"
            for t in kept
            if t.grad is not None
        )
        edges = [number[edge[0]] for edge in node.next_functions if edge]
        yield number[node], title, gradient, edges


def as_text(root: Tensor, names: dict[Tensor, str]) -> str:
    """Draw the graph behind a tensor, one line for each node, after a backward pass.

    Args:
        root: the tensor.
        names: of the leaves, and of the tensors whose gradient was retained.

    >>> from reference.operations import multiply, sum
    >>> x = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    >>> y = sum(multiply(x, x))
    >>> y.backward()
    >>> print(as_text(y, {x: "x"}))
    3  Sum                                                     -> 2
    2  Multiply                                                -> 1, 1
    1  AccumulateGrad x        dL/dx  (2,)   norm 10.0000
    """
    return "\n".join(
        f"{number:<2} {title:<23} {gradient:<31}"
        f" {'-> ' if edges else ''}{', '.join(map(str, edges))}".rstrip()
        for number, title, gradient, edges in described(root, names)
    )


def as_dot(root: Tensor, names: dict[Tensor, str]) -> str:
    r"""Draw the graph behind a tensor in DOT, after a backward pass: `dot -Tsvg` makes a picture.

    Args:
        root: the tensor.
        names: of the leaves, and of the tensors whose gradient was retained.

    >>> from reference.operations import power
    >>> x = Tensor(np.array(3.0), requires_grad=True)
    >>> y = power(x, 2)
    >>> y.backward()
    >>> print(as_dot(y, {x: "x"}))
    digraph {
      2 [label="Power\n"]
      2 -> 1
      1 [label="AccumulateGrad x\ndL/dx  ()     norm 6.0000"]
    }
    """
    lines = []
    for number, title, gradient, edges in described(root, names):
        lines.append(f'  {number} [label="{title}\\n{gradient}"]')
        lines += [f"  {number} -> {edge}" for edge in edges]
    return "\n".join(["digraph {", *lines, "}"])
