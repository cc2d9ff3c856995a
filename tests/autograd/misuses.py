"""What can be done wrong with a graph, and how torch and the reference say so."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

MISUSES = {
    "a leaf changed in place": ("a leaf Variable that requires grad", "a leaf that requires grad"),
    "a saved value freed": ("through the graph a second time", "saved values were freed"),
    "a saved value changed": ("modified by an inplace operation", "a saved value has been changed"),
    "no gradient given": ("implicitly created only for scalar outputs", "needs one of its shape"),
    "no gradient to retain": ("can't retain_grad", "retain_grad: the tensor does not"),
    "no graph": ("does not require grad", "does not require grad"),
}
"""What goes wrong, in torch's words and in the reference's."""


@contextmanager
def misuse() -> Iterator[list[str]]:
    """Which of `MISUSES` happens within; an empty name if none does."""
    found = [""]
    try:
        yield found
    except RuntimeError as error:
        for name, words in MISUSES.items():
            if any(re.search(word, str(error)) for word in words):
                found[0] = name
                return
        raise
