"""The ledger of known deviations: where torch is wrong, proved, and need not alarm us again.

Each entry of `tests/deviations/ledger.toml` covers certain comparisons and no others. A covered
comparison that deviates is counted and passes. Where all that an entry covers agree, its reproducer
is run; if that does not deviate either, the entry is out of date, and fails the run.
`python -m tests.deviations` runs the reproducers of all entries.
"""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import torch
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from tests.harness.formats import FORMATS
from tests.harness.targets import Target

FOLDER = Path(__file__).parents[1] / "deviations"
TORCH = Version(Version(torch.__version__).base_version)


def always(actual: torch.Tensor) -> bool:
    return True


def eight_elements_or_more(actual: torch.Tensor) -> bool:
    """At least one vector register, on any processor, of half-type numbers."""
    return actual.numel() >= 8


PREDICATES: dict[str, Callable[[torch.Tensor], bool]] = {
    f.__name__: f for f in (always, eight_elements_or_more)
}


class LedgerError(Exception):
    """An entry that cannot be used, in one line."""


@dataclass(frozen=True)
class KnownDeviation:
    """One entry: what it covers, and what is known about it."""

    id: str
    component: str
    outputs: list[str]
    devices: list[str]
    dtypes: list[str]
    paths: list[str]
    versions: str  # of torch that deviate, as in a requirement: ">=2.11,<2.14"
    torch_does: str
    it_should: str
    how_large: str
    upstream: str  # an address, or "unreported"
    date: date
    reproducer: str  # a script in tests/deviations: exit status 1 where torch is wrong
    when: str = "always"  # the name of a predicate over the compared tensor

    @cached_property
    def applies(self) -> bool:
        """Whether the installed torch is one of the versions."""
        return TORCH in SpecifierSet(self.versions)

    @cached_property
    def replayed(self) -> tuple[str, str]:
        """What the reproducer comes to, run by itself: its verdict, and what it printed."""
        run = subprocess.run(
            [sys.executable, "-I", FOLDER / self.reproducer],
            capture_output=True,
            text=True,
            check=False,
        )
        verdict = {0: "does not deviate", 1: "deviates"}.get(run.returncode, "crashed")
        if "Traceback" in run.stderr:  # Python's own exit status is 1, too
            verdict = "crashed"
        return verdict, run.stdout + run.stderr

    def covers(self, component: str, output: str, target: Target, actual: torch.Tensor) -> bool:
        return (
            component == self.component
            and self.applies
            and output in self.outputs
            and torch.device(target.device).type in self.devices
            and target.dtype in self.dtypes
            and target.path in self.paths
            and PREDICATES[self.when](actual)
        )


@cache
def ledger() -> tuple[KnownDeviation, ...]:
    return load()


def load(path: Path = FOLDER / "ledger.toml") -> tuple[KnownDeviation, ...]:
    """Read the ledger, or say in one line what is wrong with it."""
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise LedgerError(f"{path.name}: not TOML ({error})") from error
    return tuple(entry(path, name, given) for name, given in entries.items())


def entry(path: Path, name: str, given: Any) -> KnownDeviation:
    where = f"{path.name}: [{name}]"
    if not isinstance(given, dict):
        raise LedgerError(f"{where} is no table")
    keys = {field.name: field for field in fields(KnownDeviation) if field.name != "id"}
    needed = {key for key, field in keys.items() if field.default is MISSING}
    for wrong, what in ((given.keys() - keys, "unknown"), (needed - given.keys(), "missing")):
        if wrong:
            raise LedgerError(f"{where} {what}: {', '.join(sorted(wrong))}")
    if empty := [key for key in sorted(needed) if not given[key]]:
        raise LedgerError(f"{where} says nothing: {', '.join(empty)}")
    types = get_type_hints(KnownDeviation)
    for key, value in given.items():
        kind = get_origin(types[key]) or types[key]
        if not isinstance(value, kind):
            raise LedgerError(f"{where} {key}: {value!r} is no {kind.__name__}")
    if given["upstream"] != "unreported" and not given["upstream"].startswith("https://"):
        raise LedgerError(f'{where} upstream: give an address, or "unreported"')
    if unknown := set(given["dtypes"]) - set(FORMATS):
        raise LedgerError(f"{where} dtypes: {', '.join(sorted(unknown))} is not verified here")
    if given.get("when", "always") not in PREDICATES:
        raise LedgerError(f"{where} when: choose from {', '.join(PREDICATES)}")
    try:
        SpecifierSet(given["versions"])
    except InvalidSpecifier as error:
        raise LedgerError(f"{where} versions: {error}") from error
    if not (path.parent / given["reproducer"]).is_file():
        raise LedgerError(f"{where} reproducer: {given['reproducer']} is not beside the ledger")
    return KnownDeviation(name, **given)
