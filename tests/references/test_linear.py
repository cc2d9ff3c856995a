"""Linear in exact fractions, for rows of any dimensions; and what it refuses."""

from fractions import Fraction as Exact

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.linear import linear
from tests.references.proofs import normals, within

sides = st.integers(0, 4)


@given(data=st.data(), batch=st.lists(sides, max_size=2), with_bias=st.booleans())
def test_every_output_is_the_sum_of_weighted_inputs_and_its_bias(data, batch, with_bias):
    """To one rounding for each product, and one for each sum."""
    inputs, outputs = data.draw(sides), data.draw(sides)
    x, w, b = (data.draw(normals(*s)) for s in ((*batch, inputs), (outputs, inputs), (outputs,)))
    y = linear(x, w, b if with_bias else None)
    assert y.shape == (*batch, outputs)
    for *row, output in np.ndindex(y.shape):
        terms = [Exact(a) * Exact(c) for a, c in zip(x[*row], w[output], strict=True)]
        terms += [Exact(b[output])] if with_bias else []
        within(y[*row, output], sum(terms), inputs + 1, sum(map(abs, terms)))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (4, 2)), r"input \(2, 3\) must be \(..., in\) where weight \(4, 2\) is"),
        (((), (4, 1)), r"input \(\) must be"),
        (((3,), (3,)), r"where weight \(3,\) is \(out, in\)"),
        (((2, 3), (4, 3), (3,)), r"bias \(3,\) must be \(out,\) where weight \(4, 3\) is"),
        (((2, 3), (4, 3), (1, 4)), r"bias \(1, 4\) must be"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        linear(*map(np.zeros, shapes))
