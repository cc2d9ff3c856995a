"""Every backward pass is the derivative of its forward pass, by the complex step (see `proofs`)."""

from collections.abc import Callable
from importlib import import_module
from inspect import getmembers, isfunction
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import mlp
from tests.references.backward_cases import CASES, Case
from tests.references.proofs import agree, complex_step, normals


def test_no_backward_pass_goes_without_its_case():
    names = {name for _, name, _ in iter_modules(reference.__path__)} - {"__main__"}
    modules = [import_module(f"reference.{name}") for name in names]
    found = {f for module in modules for _, f in getmembers(module, isfunction)}
    assert {f for f in found if "_backward" in f.__name__} == set(CASES)


@pytest.mark.parametrize("backward", CASES, ids=lambda function: function.__name__)
@given(data=st.data())
def test_a_backward_pass_is_the_derivative(backward: Callable[..., Any], data: st.DataObject):
    case: Case = data.draw(CASES[backward])
    g = data.draw(normals(*np.shape(case.forward(*case.arrays))))
    grads = case.backward(g)
    for i, grad in enumerate(grads if isinstance(grads, tuple) else (grads,)):

        def of_one(x: np.ndarray, i: int = i) -> np.ndarray:
            return case.forward(*case.arrays[:i], x, *case.arrays[i + 1 :])

        agree(grad, complex_step(of_one, case.arrays[i], g))


@pytest.fixture(params=range(5))
def generator(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def test_the_whole_network_walks_back_to_the_derivative_of_its_loss(generator):
    parameters = mlp.initial_parameters(generator, 5, 4, 3)
    images, labels = generator.standard_normal((6, 5)), generator.integers(0, 3, 6)
    gradients = mlp.backward(parameters, images, labels, mlp.forward(parameters, images, labels))
    for name, gradient in zip(mlp.Parameters._fields, gradients, strict=True):

        def loss(value, name=name):
            return mlp.forward(parameters._replace(**{name: value}), images, labels).loss

        agree(gradient, complex_step(loss, getattr(parameters, name), np.ones(())))


def test_float32_stays_float32_from_the_images_to_the_gradients(generator):
    drawn = mlp.initial_parameters(generator, 5, 4, 3)
    parameters = mlp.Parameters(*(p.astype(np.float32) for p in drawn))
    images, labels = generator.standard_normal((6, 5), np.float32), generator.integers(0, 3, 6)
    activations = mlp.forward(parameters, images, labels)
    gradients = mlp.backward(parameters, images, labels, activations)
    assert {a.dtype for a in (*activations, *gradients)} == {np.dtype(np.float32)}
