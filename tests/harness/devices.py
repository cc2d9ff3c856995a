"""What a device can do, which is asked of torch; and what the others say where one deviates."""

import functools
import textwrap
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from hypothesis.control import current_build_context

from tests.harness.border import to_numpy
from tests.harness.record import note

Refusal = (RuntimeError, AssertionError, TypeError, ValueError)
OFFERED: dict[tuple[str, str], bool] = {}  # by device and what was asked of it


def missing_device(device: str) -> str | None:
    """What is wrong with a device that was asked for, in one line; None where it works."""
    try:
        one = torch.zeros(1, device=device).add(1)
        if not one.is_meta:
            to_numpy(one)
    except Refusal as error:
        return first_line(error)
    return None


def offered(device: str, what: str, attempt: Callable[[], object]) -> bool:
    """Whether a device can do something: tried once; the report says it if not, and why."""
    if (device, what) not in OFFERED:
        try:
            attempt()
        except Refusal as error:
            reason = textwrap.shorten(first_line(error), 80)
            note(f"{what}: not offered by the device {device} ({reason})")
            OFFERED[device, what] = False
        else:
            OFFERED[device, what] = True
    return OFFERED[device, what]


def offers_dtype(device: str, dtype: str) -> bool:
    return offered(
        device, dtype, lambda: torch.ones(1, dtype=getattr(torch, dtype), device=device).add(1)
    )


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def compared_across_devices(test: Callable[..., Any]) -> Callable[..., Any]:
    """A property that, where it fails, tells how the same case fares on each device by itself."""

    @functools.wraps(test)
    def example(*args: Any, **kwargs: Any) -> Any:
        try:
            return test(*args, **kwargs)
        except Exception as error:
            targets = kwargs["targets"]
            for device in targets.devices if current_build_context().is_final else ():
                alone = kwargs | {"targets": replace(targets, devices=(device,))}
                try:
                    test(*args, **alone)
                except Exception as of_one:
                    error.add_note(f"the same case on {device} alone: {first_line(of_one)}")
                else:
                    error.add_note(f"the same case on {device} alone: agrees with the reference")
            raise

    return example
