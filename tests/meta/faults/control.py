"""The control: everything is wrapped as the faults wrap it, and nothing is wrong."""

from functools import wraps
from typing import Any

import pytest
import torch.nn.functional as F

from tests.meta.faults.catalogue import PLACES, Fault, Function
from tests.meta.faults.tools import altered, around, setting

STATEFUL = ("batch_norm", "dropout", "dropout2d")  # must not be computed a second time


def unchanged(sound: Function) -> Function:
    @wraps(sound)  # pytest tells functions apart by their names
    def call(*args: Any, **options: Any) -> Any:
        return sound(*args, **options)

    return call


def inject(patch: pytest.MonkeyPatch) -> None:
    places = {(owner, name): component for component, (owner, name, _) in PLACES.items()}
    for (owner, name), component in places.items():  # each once: two components may share one
        sound = getattr(owner, name)
        if owner is F and name not in STATEFUL:
            wrapped = altered(sound, lambda grads, grad_output, inputs: grads)
        elif name != "step" or component == "grad_scaler step":
            wrapped = unchanged(sound)
        else:
            wrapped = around(lambda self: setting(self, lr=lambda group: group["lr"]))(sound)
        patch.setattr(owner, name, wrapped)
        assert getattr(owner, name) is wrapped, component


CONTROL = Fault(
    "control", "", "", "Nothing is wrong.", inject, None, "", 0, dtype="float32", required=True
)
