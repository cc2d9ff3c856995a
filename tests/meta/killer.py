"""`pytest -p tests.meta.killer`: a torch of which one call kills the process."""

import os
import signal
from typing import Any

import pytest
import torch
import torch.nn.functional as F

sound = F.softplus


def softplus(input: torch.Tensor, *args: Any) -> torch.Tensor:
    if input.dim() == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return sound(input, *args)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(F, "softplus", softplus)
    config.add_cleanup(patch.undo)
