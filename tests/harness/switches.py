"""The switches of torch that change how it computes: set for a run, recorded, and watched.

`--switch NAME=SETTING` sets one for a run. A test that leaves one otherwise than it found it fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch

from tests.harness.formats import flushes_here


def read_only(setting: Any) -> None:
    raise TypeError("a mode of torch, which a with statement sets")


@dataclass(frozen=True)
class Switch:
    """One switch: how it is read and set, and what it can be set to (nothing, for a mode)."""

    read: Callable[[], Any]
    write: Callable[[Any], object] = read_only
    settings: tuple[Any, ...] = ()
    source: str = ""  # that sets it


def attribute(path: str, *settings: Any) -> Switch:
    holder, _, name = path.removeprefix("torch.").rpartition(".")
    owner = attrgetter(holder)(torch)

    def write(value: Any) -> None:
        setattr(owner, name, value)

    return Switch(lambda: getattr(owner, name), write, settings, f"{path} = {{!r}}")


def matmul_precision() -> str:
    """The older switch, which cannot be read where the newer ones say what it cannot say."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return "see fp32_precision"


PRECISIONS = ("none", "ieee", "tf32")
SWITCHES: dict[str, Switch] = {
    "float32_matmul_precision": Switch(
        matmul_precision,
        torch.set_float32_matmul_precision,
        ("highest", "high", "medium"),
        "torch.set_float32_matmul_precision({!r})",
    ),
    "fp32_precision": attribute("torch.backends.fp32_precision", *PRECISIONS),  # of both below
    **{
        f"{library}.matmul.fp32_precision": attribute(
            f"torch.backends.{library}.matmul.fp32_precision", *PRECISIONS, *more
        )
        for library, more in (("cuda", ()), ("mkldnn", ("bf16",)))
    },
    **{
        f"cuda.matmul.{name}": attribute(f"torch.backends.cuda.matmul.{name}", True, False)
        for name in (
            "allow_fp16_reduced_precision_reduction",
            "allow_bf16_reduced_precision_reduction",
            "allow_fp16_accumulation",
        )
    },
    "mkldnn": attribute("torch.backends.mkldnn.enabled", True, False),
    "threads": Switch(
        torch.get_num_threads,
        torch.set_num_threads,
        tuple(range(1, 257)),
        "torch.set_num_threads({})",
    ),
    "deterministic_algorithms": Switch(
        torch.are_deterministic_algorithms_enabled,
        # Where use_deterministic_algorithms would first import the whole of torch.compile.
        lambda on: torch.set_deterministic_debug_mode("error" if on else "default"),
        (True, False),
        "torch.use_deterministic_algorithms({})",
    ),
    "flush_denormal": Switch(
        flushes_here, torch.set_flush_denormal, (True, False), "torch.set_flush_denormal({})"
    ),
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
if "OMP_NUM_THREADS" in os.environ:  # else torch takes a thread for each processor
    UNTOUCHED["threads"] = None


def changed() -> dict[str, Any]:
    """The switches that are not as torch has them by itself, and how they are."""
    return {name: now for name, now in state().items() if now != UNTOUCHED[name]}


def source(settings: dict[str, Any]) -> list[str]:
    """Lines of Python that set them, but for modes."""
    return [
        SWITCHES[name].source.format(setting)
        for name, setting in settings.items()
        if setting in SWITCHES[name].settings
    ]


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
