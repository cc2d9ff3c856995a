"""The graph, without torch: drawn programs against the complex step, and what it is used for.

The programs here are polynomials of small whole numbers, and relu. All arithmetic is exact, so the
walk back must give the derivative to the last bit. (So is the complex step: STEP^2, by which it is
off, is too small to be anything but 0.)
"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reference import mlp
from reference.drawing import as_text
from reference.graph import Tensor, backward
from reference.operations import (
    Operation,
    add,
    linear,
    multiply,
    no_grad,
    power,
    relu,
    subtract,
    sum,
    unbind,
)

STEP = 2.0**-600
EXACT = 2.0**50  # whole numbers below this, and sums of two of them, are exact

Program = list[tuple[Operation, int, int]]

whole = st.sampled_from((1, -1, 2, -2, 3, -3, 0))
operations = st.sampled_from((add, subtract, multiply, power, relu, linear, sum, unbind))
steps = st.lists(
    st.tuples(operations, st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=6
)


def run(program: Program, leaves: list[Tensor]) -> list[Tensor]:
    """Every value of a program; operands are picked among those that fit."""
    values = list(leaves)
    for operation, first, second in program:
        fit = values
        if operation in (linear, unbind):
            fit = [value for value in values if value.values.shape == (2, 2)]
        a, b = fit[first % len(fit)], fit[second % len(fit)]
        if operation is relu:  # there is no derivative at the kink
            assume(not np.any((a.values.real == 0) & (a.values.imag != 0)))
        others = {power: (2,), relu: (), sum: (), unbind: (), linear: (b, leaves[2])}
        made = operation(a, *others.get(operation, (b,)))
        values += made if isinstance(made, tuple) else (made,)
    return values


@given(
    program=steps,
    numbers=st.lists(whole, min_size=10, max_size=10),
    cotangents=st.lists(whole, min_size=8, max_size=8),
)
def test_drawn_programs_walk_back_to_the_derivative(program, numbers, cotangents):
    flat = np.array(numbers, float)
    arrays = [flat[:4].reshape(2, 2), flat[4:8].reshape(2, 2), flat[8:]]
    leaves = [Tensor(array, requires_grad=True) for array in arrays]
    values = run(program, leaves)
    roots = values[-2:]
    grads = [
        np.array(cotangents[i : i + root.values.size], float).reshape(root.values.shape)
        for i, root in zip((0, 4), roots, strict=True)
    ]
    backward(roots, grads)
    assume(all(np.abs(v.values).max() < EXACT for v in values))
    for position, leaf in enumerate(leaves):
        derivative = np.zeros(leaf.values.shape)
        for index in np.ndindex(leaf.values.shape):
            nudged = [array.astype(complex) for array in arrays]
            nudged[position][index] += 1j * STEP
            with no_grad():
                ends = run(program, [Tensor(array) for array in nudged])[-2:]
            for grad, end in zip(grads, ends, strict=True):
                derivative[index] += np.sum(grad * end.values.imag) / STEP
        assume(np.abs(derivative).max() < EXACT)
        gradient = np.zeros(leaf.values.shape) if leaf.grad is None else leaf.grad
        assert np.array_equal(gradient, derivative)


def test_the_network_on_the_graph_is_the_network_written_out_bit_for_bit():
    generator = np.random.default_rng(0)
    arrays = mlp.initial_parameters(generator, 5, 4, 3)
    images, labels = generator.standard_normal((6, 5)), generator.integers(0, 3, 6)
    activations = mlp.forward(arrays, images, labels)
    parameters = [Tensor(array, requires_grad=True) for array in arrays]
    recorded = mlp.recorded_forward(parameters, images, labels)
    recorded[-1].backward()
    assert all(map(np.array_equal, (r.values for r in recorded), activations))
    gradients = mlp.backward(arrays, images, labels, activations)
    assert all(map(np.array_equal, (p.grad for p in parameters), gradients))


def test_a_node_runs_once_however_many_paths_lead_to_it():
    x = Tensor(np.array(1.0), requires_grad=True)
    y = x
    for _ in range(50):
        y = add(y, y)
    y.backward()  # over 2^50 paths
    assert x.grad == 2.0**50


def test_saved_values_are_let_go_when_the_walk_has_passed():
    x = Tensor(np.ones(3), requires_grad=True)
    y = multiply(x, x)
    y.backward(np.ones(3), retain_graph=True)
    assert y.grad_fn.saved is not None
    y.backward(np.ones(3))
    assert y.grad_fn.saved is None
    with pytest.raises(RuntimeError, match="saved values were freed"):
        y.backward(np.ones(3))


def test_a_retained_gradient_stays_where_a_walk_comes_only_to_its_neighbour():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    first, second = unbind(x)
    first.retain_grad()
    backward([first], [np.full(3, 2.0)])
    backward([second], [np.full(3, 5.0)])
    assert first.grad.tolist() == [2.0] * 3
    assert x.grad.tolist() == [[2.0] * 3, [5.0] * 3]


def leaf(*numbers: float) -> Tensor:
    return Tensor(np.array(numbers), requires_grad=True)


def test_what_is_changed_in_place_is_recorded_as_it_became():
    """y is x + 2, then 3 (x + 2): dL/dx of y^2 is 18 (x + 2), and y.grad belongs to the new y."""
    x = leaf(1.0, -4.0)
    y = add(x, 2.0)
    y.retain_grad()
    y.retain_grad()  # twice is once
    memory = y.detach()
    assert multiply(y, 3.0, in_place=True) is y
    sum(multiply(y, y)).backward()
    assert memory.values.tolist() == [9, -6]
    assert (memory.requires_grad, memory.grad) == (False, None)
    assert x.grad.tolist() == [54, -36]
    assert y.grad.tolist() == [18, -12]


def test_outside_of_the_graph_anything_is_changed_in_place():
    x = leaf(1.0, 2.0)
    with no_grad():
        multiply(x, 3.0, in_place=True)
    constant = Tensor(np.ones(2))
    assert add(constant, constant, in_place=True).values.tolist() == [2, 2]
    assert not constant.requires_grad
    sum(multiply(x, constant)).backward()
    assert x.values.tolist() == [3, 6]
    assert x.grad.tolist() == [2, 2]


def changed_since_it_was_saved():
    x = leaf(1.0, 2.0)
    y = add(x, 1.0)
    z = multiply(y, y)
    add(y, 1.0, in_place=True)
    sum(z).backward()


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a leaf in place": (
        lambda: add(leaf(1.0), 1.0, in_place=True),
        "Add: a leaf that requires grad is changed in place",
    ),
    "a saved value in place": (
        changed_since_it_was_saved,
        "Multiply: a saved value has been changed in place",
    ),
    "retaining what has no gradient": (
        lambda: Tensor(np.ones(1)).retain_grad(),
        "retain_grad: the tensor does not require grad",
    ),
    "a root that is many": (
        lambda: add(leaf(1.0, 2.0), 1.0).backward(),
        r"grad: the root needs one of its shape, \(2,\)",
    ),
    "a gradient of another shape": (
        lambda: sum(leaf(1.0, 2.0)).backward(np.ones(2)),
        r"grad: the root needs one of its shape, \(\)",
    ),
    "a root without graph": (
        lambda: Tensor(np.ones(())).backward(),
        "root: it does not require grad, so no graph leads to it",
    ),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_what_has_no_gradient_is_refused(refused):
    call, message = REFUSED[refused]
    with pytest.raises(RuntimeError, match=message):
        call()


def test_a_tensor_without_history_has_no_picture():
    assert as_text(Tensor(np.ones(2)), {}) == ""
