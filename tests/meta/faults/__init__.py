"""Link 4 of the chain of trust: faults put into torch, each of which the suite must find."""

from tests.meta.faults import (  # noqa: F401  (they register)
    autograd,
    batch_norm,
    dropout,
    modules,
    optimizers,
    second_order,
)
