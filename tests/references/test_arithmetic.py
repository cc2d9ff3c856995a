"""Arithmetic, element by element, in exact fractions."""

from builtins import sum as sum_of
from fractions import Fraction as Exact

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reference.arithmetic import add, multiply, power, subtract, sum, unbind
from tests.references.proofs import normals, within


@given(a=normals(3, 1), b=normals(2), n=st.integers(1, 5))
def test_each_operation_is_rounded_as_often_as_it_computes(a, b, n):
    added, subtracted, multiplied = (f(a, b) for f in (add, subtract, multiply))
    for i, j in np.ndindex(3, 2):
        x, y = Exact(a[i, 0]), Exact(b[j])
        within(added[i, j], x + y, 1)
        within(subtracted[i, j], x - y, 1)
        within(multiplied[i, j], x * y, 1)
        within(power(a, n)[i, 0], x**n, n)
    terms = [Exact(x) for x in added.flat]
    within(sum(added), sum_of(terms), 5, sum_of(map(abs, terms)))


def test_unbinding_takes_rows_as_they_are():
    rows = unbind(np.array([[1.0, np.nan], [-0.0, 2.0]]))
    assert [repr(row.tolist()) for row in rows] == ["[1.0, nan]", "[-0.0, 2.0]"]
