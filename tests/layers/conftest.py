"""What every test of a layer leaves behind: nothing."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def generators_restored() -> Iterator[None]:
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
