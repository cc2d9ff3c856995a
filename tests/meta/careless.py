"""Tests that change the switches of torch: a run of its own, which `test_switches.py` starts."""

import torch


def test_careless() -> None:
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)


def test_next() -> None:
    assert torch.get_num_threads() == 1
    torch.set_default_dtype(torch.float32)
