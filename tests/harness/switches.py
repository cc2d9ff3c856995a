"""The switches of torch that change how it computes: set for a run, recorded, and watched.

`--switch NAME=SETTING` sets one for a run. A test that leaves one otherwise than it found it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch

from tests.harness.formats import flushes_here


def read_only(setting: Any) -> None:
    raise TypeError("a mode of torch, which a with statement sets")


@dataclass(frozen=True)
class Switch:
    """One switch: how it is read, set, and what it can be set to (nothing, for a mode)."""

    read: Callable[[], Any]
    write: Callable[[Any], object] = read_only
    settings: tuple[Any, ...] = ()


def attribute(owner: Any, name: str, *settings: Any) -> Switch:
    return Switch(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), settings)


def matmul_precision() -> str:
    """The older switch, which cannot be read where the newer ones say what it cannot say."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return "see fp32_precision"


CUBLAS, ONEDNN = torch.backends.cuda.matmul, cast(Any, torch.backends.mkldnn)
PRECISIONS = ("none", "ieee", "tf32")
SWITCHES: dict[str, Switch] = {
    "float32_matmul_precision": Switch(
        matmul_precision, torch.set_float32_matmul_precision, ("highest", "high", "medium")
    ),
    "fp32_precision": attribute(torch.backends, "fp32_precision", *PRECISIONS),  # of both below
    "cuda.matmul.fp32_precision": attribute(CUBLAS, "fp32_precision", *PRECISIONS),
    "mkldnn.matmul.fp32_precision": attribute(ONEDNN.matmul, "fp32_precision", *PRECISIONS, "bf16"),
    **{
        f"cuda.matmul.{name}": attribute(CUBLAS, name, True, False)
        for name in (
            "allow_fp16_reduced_precision_reduction",
            "allow_bf16_reduced_precision_reduction",
            "allow_fp16_accumulation",
        )
    },
    "mkldnn": attribute(ONEDNN, "enabled", True, False),
    "threads": Switch(torch.get_num_threads, torch.set_num_threads, tuple(range(1, 257))),
    "deterministic_algorithms": Switch(
        torch.are_deterministic_algorithms_enabled,
        # Where use_deterministic_algorithms would first import the whole of torch.compile.
        lambda on: torch.set_deterministic_debug_mode("error" if on else "default"),
        (True, False),
    ),
    "flush_denormal": Switch(flushes_here, torch.set_flush_denormal, (True, False)),
    "grad_enabled": Switch(torch.is_grad_enabled),
    "inference_mode": Switch(torch.is_inference_mode_enabled),
    "anomaly_detection": Switch(torch.is_anomaly_enabled),
    "autocast": Switch(torch.is_autocast_enabled),
    "default_dtype": Switch(torch.get_default_dtype),
}


class SwitchError(Exception):
    """What cannot be set, in one line."""


def settable() -> list[str]:
    return [name for name, switch in SWITCHES.items() if switch.settings]


def state() -> dict[str, Any]:
    return {name: switch.read() for name, switch in SWITCHES.items()}


UNTOUCHED = state()


def changed() -> dict[str, Any]:
    """The switches that are not as they were at the start, and how they are."""
    return {name: now for name, now in state().items() if now != UNTOUCHED[name]}


def restore(before: dict[str, Any]) -> list[str]:
    """Set everything as before, and say what was not."""
    after = state()
    if after == before:
        return []
    for name, switch in SWITCHES.items():
        if before[name] in switch.settings and switch.read() != before[name]:
            switch.write(before[name])
    return [
        f"{name} from {old} to {after[name]}" for name, old in before.items() if old != after[name]
    ]


@contextmanager
def switched(settings: dict[str, Any]) -> Iterator[None]:
    """Switches by name, set for a while."""
    before = state()
    try:
        for name, setting in settings.items():
            SWITCHES[name].write(setting)
        yield
    finally:
        restore(before)


def set_as_asked(text: str) -> None:
    """Set a switch from NAME=SETTING."""
    name, _, wanted = text.partition("=")
    switch = SWITCHES.get(name, Switch(bool))
    settings = {shown(setting): setting for setting in switch.settings}
    if not settings:
        raise SwitchError(f"--switch {text}: no such switch; choose from {', '.join(settable())}")
    if wanted not in settings:
        raise SwitchError(f"--switch {text}: {name} can be {', '.join([*settings][:8])}")
    switch.write(settings[wanted])
    if switch.read() != settings[wanted]:
        raise SwitchError(f"--switch {text}: torch stays at {shown(switch.read())} here")


def shown(setting: Any) -> str:
    return {True: "on", False: "off"}[setting] if isinstance(setting, bool) else str(setting)
