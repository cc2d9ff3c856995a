"""The operations of the other files on tensors: the forward pass that builds the graph."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from reference import arithmetic
from reference.graph import Node, Tensor
from reference.linear import linear as linear_forward
from reference.linear import linear_backward
from reference.log_softmax import log_softmax as log_softmax_forward
from reference.log_softmax import log_softmax_backward
from reference.nll_loss import nll_loss as nll_loss_forward
from reference.nll_loss import nll_loss_backward
from reference.relu import relu as relu_forward
from reference.relu import relu_backward

OUTPUT = -1  # among what an operation saves: its result
RECORDING = ContextVar("RECORDING", default=True)  # False within `no_grad`


@dataclass(frozen=True, eq=False)
class Operation:
    """A formula and its backward pass, for tensors. An argument that is no tensor is a constant.

    `saves` lists what the backward pass takes besides the gradient: arguments by their position, or
    the OUTPUT; and for each, the argument whose gradient needs its values (None: needs only its
    shape). What no gradient needs may be overwritten, or freed, without harm.

    >>> import numpy as np
    >>> x = Tensor(np.array([1.0, -2.0]), requires_grad=True)
    >>> y = relu(multiply(x, 3.0))
    >>> y.grad_fn.name, [edge and edge[0].name for edge in y.grad_fn.next_functions]
    ('Relu', ['Multiply'])
    >>> [edge and edge[0].name for edge in y.grad_fn.next_functions[0][0].next_functions]
    ['AccumulateGrad', None]
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    saves: dict[int, int | None]

    def __call__(self, *arguments: Any, in_place: bool = False) -> Any:
        """Compute, and leave a node if a gradient is asked for; `in_place` overwrites the first."""
        inputs = [x if isinstance(x, Tensor) else Tensor(x) for x in arguments]
        recorded = RECORDING.get() and any(x.requires_grad for x in inputs)
        if in_place and recorded and inputs[0].is_leaf and inputs[0].requires_grad:
            raise RuntimeError(f"{self.name}: a leaf that requires grad is changed in place")
        versions = [x.memory.version for x in inputs]
        values = self.forward(*(x.values for x in inputs))
        if in_place:
            outputs = inputs[:1]
            inputs[0] = copy(inputs[0])  # the node remembers it as it was before
            inputs[0].memory = SimpleNamespace(**vars(inputs[0].memory))
            outputs[0].memory.values = values
            outputs[0].memory.version += 1
        else:
            outputs = [Tensor(v) for v in (values if isinstance(values, tuple) else (values,))]
        if recorded:
            self.record(inputs, versions, outputs)
        return tuple(outputs) if isinstance(values, tuple) else outputs[0]

    def record(self, inputs: list[Tensor], versions: list[int], outputs: list[Tensor]) -> None:
        """Leave a node behind the outputs, linked to the nodes behind the inputs."""
        saved: list[tuple[Tensor, int | None]] = []
        for which, needed_by in self.saves.items():
            value = outputs[0] if which == OUTPUT else inputs[which]
            version = value.memory.version if which == OUTPUT else versions[which]
            needed = needed_by is not None and inputs[needed_by].requires_grad
            saved.append((value, version if needed else None))
        edges = tuple((x.node, x.output_nr) if x.node else None for x in inputs)
        node = Node(self.name, self.backward, saved, edges, len(outputs))
        for number, output in enumerate(outputs):
            before, output.node, output.output_nr = output.node, node, number
            if before and output in before.retained:  # changed in place: the new node serves it
                before.retained.remove(output)
                node.retained.append(output)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing: results have no node, and leaves may be changed in place.

    >>> import numpy as np
    >>> x = Tensor(np.array(3.0), requires_grad=True)
    >>> with no_grad():
    ...     y = multiply(x, x)
    >>> y.requires_grad, y.is_leaf
    (False, True)
    """
    token = RECORDING.set(False)
    try:
        yield
    finally:
        RECORDING.reset(token)


# Of linear, the input (0) serves the gradient of the weight (1), and the weight that of the input.
linear = Operation("Linear", linear_forward, linear_backward, {0: 1, 1: 0})
# Where x <= 0, so is relu(x): its output tells as much, and the next operation often keeps that.
relu = Operation("Relu", relu_forward, relu_backward, {OUTPUT: 0})
log_softmax = Operation("LogSoftmax", log_softmax_forward, log_softmax_backward, {OUTPUT: 0})
nll_loss = Operation("NllLoss", nll_loss_forward, nll_loss_backward, {0: 0, 1: 0})
add = Operation("Add", arithmetic.add, arithmetic.add_backward, {0: None, 1: None})
subtract = Operation(
    "Subtract", arithmetic.subtract, arithmetic.subtract_backward, {0: None, 1: None}
)
multiply = Operation("Multiply", arithmetic.multiply, arithmetic.multiply_backward, {0: 1, 1: 0})
power = Operation("Power", arithmetic.power, arithmetic.power_backward, {0: 0, 1: 0})
sum = Operation("Sum", arithmetic.sum, arithmetic.sum_backward, {0: None})
unbind = Operation("Unbind", arithmetic.unbind, arithmetic.unbind_backward, {})
