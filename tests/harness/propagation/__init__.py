"""What each NumPy operation makes of the rounding errors of its operands.

`+`, `sum` and `matmul` keep a sum open, because implementations choose their own order, down to
where the bias of a linear layer enters. Every other operation, subtraction among them, rounds its
operands first: the order in which a formula subtracts is part of its meaning (`log_softmax` takes
the maximum off first, and an implementation that does not is wrong).

Errors are propagated in full, not to first order. Importing this package registers its rules.
"""

from tests.harness.propagation import arithmetic, choices, elementary, sums  # noqa: F401
