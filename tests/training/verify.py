"""A step of training, held against the reference: the nodes of its graph, and its update.

What is large is computed twice. NumPy's result in float32 settles most elements: a sum that ends in
k roundings has a bound of at least k u |value|, torch's as well as NumPy's, and where they are no
further apart than both together, more need not be known. Of the others, the far ones, the value is
computed in float64, and the bound with it; and of the first element in any case.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import torch

from reference.linear import linear, linear_backward, linear_backward_parameters
from reference.log_softmax import log_softmax, log_softmax_backward
from reference.nll_loss import nll_loss, nll_loss_backward
from reference.relu import relu, relu_backward
from tests.harness.border import to_numpy
from tests.harness.formats import FLOAT32
from tests.harness.rounding import Rounding
from tests.harness.targets import Target
from tests.harness.verdict import check
from tests.training.network import OPTIMIZERS, Nodes, Parameters, reference_step

BLOCK = 32_768  # elements worked on at a time, so that they stay in the cache
Part = Callable[[Callable[[np.ndarray], Any], Any, Any], Any]
"""Given how to read an array, and which rows and columns of its result to compute."""

ALL, FIRST = slice(None), np.zeros(1, np.int64)  # rows or columns


@np.errstate(all="ignore")  # what a wrong torch makes may be anything
def verify_nodes(
    component: str,
    target: Target,
    images: np.ndarray,
    labels: np.ndarray,
    params: list[torch.Tensor],
    nodes: Nodes,
) -> tuple[Any, Any]:
    """Hold each node of the graph by itself; return the reference's loss and logits.

    As `mlp.forward` and `mlp.backward`, but each node is given what torch's own nodes before it
    have made: so no bound grows along the graph, and the node that is wrong has its name.
    """
    rounding = Rounding.kernel(target.dtype).on(target.device)
    tracked = rounding.array

    def held(output: str, actual: torch.Tensor | None, expected: Any) -> np.ndarray:
        """Return what torch made, for the next node."""
        check(component, output, target, actual, rounding.stored(expected))
        assert actual is not None
        return to_numpy(actual, np.float32)

    def large(output: str, actual: torch.Tensor | None, terms: int, part: Part) -> np.ndarray:
        """Sums of so many products, of which few are far."""
        value = part(np.asarray, ALL, ALL)
        if actual is None or actual.shape != value.shape:
            return held(output, actual, part(tracked, ALL, ALL))
        got = to_numpy(actual, np.float32)
        rows = columns = FIRST
        if not np.array_equal(got, value):
            far = is_far(got, value, terms)
            far[FIRST, FIRST] = True
            rows, columns = (np.flatnonzero(far.any(axis=axis)) for axis in (1, 0))
        at_rows, at_columns = (torch.from_numpy(i).to(actual.device) for i in (rows, columns))
        held(output, actual[at_rows][:, at_columns], part(tracked, rows, columns))
        return got

    x, (weight1, bias1, weight2, bias2) = images, (to_numpy(p, np.float32) for p in params)
    grad_weight1, grad_bias1, grad_weight2, grad_bias2 = (p.grad for p in params)

    hidden_input = large(
        "hidden_input",
        nodes.hidden_input,
        x.shape[1],
        lambda read, n, h: linear(read(x[n]), read(weight1[h]), read(bias1[h])),
    )
    hidden = held("hidden", nodes.hidden, tracked(relu(hidden_input)))
    expected_logits: Any = linear(tracked(hidden), tracked(weight2), tracked(bias2))
    logits = held("logits", nodes.logits, expected_logits)
    log_probabilities = log_softmax(tracked(logits))
    loss: Any = nll_loss(log_probabilities, labels)
    held("loss", nodes.loss, loss)

    grad = nll_loss_backward(np.ones_like(loss), log_probabilities, labels)
    grad = log_softmax_backward(grad, log_probabilities)
    grad_logits = held("grad logits", nodes.logits.grad, grad)
    weight_and_bias = linear_backward_parameters(tracked(grad_logits), tracked(hidden))
    held("grad weight2", grad_weight2, weight_and_bias[0])
    held("grad bias2", grad_bias2, weight_and_bias[1])
    grad_hidden = large(
        "grad hidden",
        nodes.hidden.grad,
        len(weight2),
        lambda read, n, h: linear_backward(
            read(grad_logits[n]), read(hidden[n][:, h]), read(weight2[:, h])
        )[0],
    )
    grad = tracked(relu_backward(grad_hidden, hidden_input))
    grad = held("grad hidden_input", nodes.hidden_input.grad, grad)
    large(
        "grad weight1",
        grad_weight1,
        len(x),
        lambda read, h, i: linear_backward_parameters(read(grad[:, h]), read(x[:, i]))[0],
    )
    _, bias = linear_backward_parameters(tracked(grad), tracked(x[:, :1]))
    held("grad bias1", grad_bias1, bias)
    return loss.value, expected_logits.value


def is_far(got: np.ndarray, value: np.ndarray, roundings: int) -> np.ndarray:
    """Where they differ by more than each may be off in any case."""
    apart, size = got - value, np.abs(value)
    np.abs(apart, out=apart)
    size *= 2 * roundings * FLOAT32.unit
    return ~(apart <= size)


def vectors(states: Iterable[Parameters]) -> dict[str, torch.Tensor]:
    """Copies of all parameters' tensors of one name, end to end: an update works elementwise."""
    gathered: dict[str, list[torch.Tensor]] = {}
    for state in states:
        for name, tensor in state.items():
            gathered.setdefault(name, []).append(tensor.detach().reshape(-1))
    return {name: torch.cat(tensors) for name, tensors in gathered.items() if name != "step"}


@np.errstate(all="ignore")
def verify_update(
    component: str,
    target: Target,
    name: str,
    options: dict[str, Any],
    before: dict[str, torch.Tensor],
    after: dict[str, torch.Tensor],
    step: int,
) -> None:
    """Hold the updated parameters and their state; the far ones of either are far in all."""
    rounding = Rounding.kernel(target.dtype)
    given = {buffer: vector.cpu().numpy() for buffer, vector in before.items()}
    got = {output: vector.cpu().numpy() for output, vector in after.items()}

    def updated(elements: Any, read: Callable[[np.ndarray], Any]) -> Parameters:
        state = {buffer: read(vector[elements]) for buffer, vector in given.items()}
        param, grad = state.pop("param"), state.pop("grad")
        return reference_step(name, options, param, grad, state, step)

    far = np.zeros(given["param"].size, bool)
    for start in range(0, far.size, BLOCK):
        block = slice(start, start + BLOCK)
        for output, value in updated(block, np.asarray).items():
            far[block] |= is_far(got[output][block], value, last_roundings(name)[output])
    far[0] = True
    some = np.flatnonzero(far)
    for output, want in updated(some, rounding.array).items():
        actual = after[output][torch.from_numpy(some).to(target.device)]
        check(component, output, target, actual, rounding.stored(want))


@cache
def last_roundings(name: str) -> dict[str, int]:
    """In how many roundings each result of an optimizer's step ends."""
    _, options = OPTIMIZERS[name]
    one = Rounding.kernel("float32").array(np.ones(1))
    state = dict.fromkeys(("momentum_buffer", "exp_avg", "exp_avg_sq"), one)
    results = reference_step(name, options, one, one, state, 1)
    return {output: result.roundings for output, result in results.items()}
