"""How small an error is found: `python -m tests.meta.sensitivity` prints it for each output.

The properties run as ever, in float32; but of each array that they check, one element is moved k
ulp up or down, and the smallest k that the comparison notices is looked for. The table has the k
that is noticed in half of the cases, and the k that is noticed in 99 of 100; on general inputs
(uniform numbers with every digit) and on exact ones (small integers, and of the results those
elements that no operation rounds). Beside it stands what `torch.allclose` and
`torch.testing.assert_close`, with their default tolerances and the same reference, need for the
same elements, and how many of torch's sound results they call wrong.

Where terms cancel, an ulp of what remains is less than the rounding errors of the terms: there many
ulp are no fault, and go unnoticed.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.meta.verified import DRAWN

INPUTS = {"general": "uniform", "exact": "integers"}  # the family that stands for all others
TOLERANCES = {"allclose": (1e-5, 1e-8), "assert_close": (1.3e-6, 1e-5)}
"""rtol and atol, torch's defaults for float32: measured here beside the bound, never relied on."""
NOTICED = 0.99
FURTHEST = 2**31  # ulp: from one end of float32 to about the other

Row = tuple[str, str]  # component, output
FOUND: dict[Row, list[dict[str, float]]] = defaultdict(list)  # by row: the smallest k of each judge


def moved(x: np.float32, k: int) -> np.float32:
    """x and k ulp: the k-th number of float32 above it; but no infinity."""
    bits = int(x.view(np.int32))
    place = (bits if bits >= 0 else -(bits & 0x7FFFFFFF)) + k
    most = int(np.finfo(np.float32).max.view(np.int32))
    place = max(-most, min(most, place))
    magnitude = np.int32(abs(place)).view(np.float32)
    return magnitude if place >= 0 else -magnitude


def smallest(noticed: Callable[[int], bool]) -> float:
    """The smallest k that is noticed, by bisection; infinite if none is."""
    below, above = 0, 1
    while not noticed(above):
        below, above = above, 2 * above
        if above > FURTHEST:
            return math.inf
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if noticed(middle) else (middle, above)
    return above


@np.errstate(all="ignore")
def measure(row: Row, actual: Any, expected: Any, exact: bool) -> None:
    """Move one element of a result, and note from where on each judge would tell."""
    from tests.harness.comparison import Comparison
    from tests.harness.formats import FLOAT32

    got = actual.detach().cpu().numpy()
    normal = np.abs(expected.value) >= np.finfo(np.float32).tiny  # 0 has no ulp to speak of
    candidates = normal & np.isfinite(expected.value) & np.isfinite(got)
    if exact:
        candidates &= expected.bound == 0
    if not candidates.any():
        return
    generator = np.random.default_rng(len(FOUND[row]))
    at = tuple(generator.choice(np.argwhere(candidates)))
    up = int(generator.choice((-1, 1)))
    want = float(np.float32(expected.value[at]))

    def by_us(k: int) -> bool:
        wrong = got.astype(np.float64)
        wrong[at] = moved(got[at], up * k)
        return bool(Comparison.of(wrong, expected, FLOAT32).wrong[at])

    def by_tolerance(rtol: float, atol: float) -> Callable[[int], bool]:
        allowed = atol + rtol * abs(want)
        return lambda k: abs(float(moved(got[at], up * k)) - want) > allowed

    ks = {"backproof": smallest(by_us)}
    for judge, tolerance in TOLERANCES.items():
        ks[judge] = smallest(by_tolerance(*tolerance))
        everywhere = np.abs(got - expected.value.astype(np.float32))[candidates]
        allowed = tolerance[1] + tolerance[0] * np.abs(expected.value[candidates])
        ks[f"{judge} alarms"] = float((everywhere > allowed).any())
    FOUND[row].append(ks)


# As a plugin of pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backproof")
    group.addoption(
        "--inputs", choices=list(INPUTS), help="what is drawn: general or exact numbers"
    )
    group.addoption("--found", metavar="FILE", help="where to write what is found")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw such inputs, and measure at each check, before a test imports either."""
    from tests.harness import verdict
    from tests.harness.strategies.values import FAMILIES, SPECIALS

    inputs = config.getoption("--inputs")
    sound = verdict.check

    def check(component: str, output: str, target: Any, actual: Any, expected: Any) -> None:
        sound(component, output, target, actual, expected)
        if target.dtype == "float32":
            measure((component, output), actual, expected, inputs == "exact")

    verdict.check = check
    FAMILIES.update(dict.fromkeys(FAMILIES, FAMILIES[INPUTS[inputs]]))
    SPECIALS.update(dict.fromkeys(SPECIALS, lambda fmt: 1.0))


def pytest_sessionfinish(session: pytest.Session) -> None:
    lines = [[*row, ks] for row, ks in FOUND.items()]
    Path(session.config.getoption("--found")).write_text(json.dumps(lines))


# As a command


def run(inputs: str, options: list[str]) -> dict[Row, list[dict[str, float]]]:
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        words = ["-m", "pytest", "-q", "-p", "tests.meta.sensitivity", "-p", "no:cacheprovider"]
        words += ["--inputs", inputs, "--found", str(found), "--dtype", "float32"]
        words += ["-m", "not claim", "-k", "not known_faults", "--hypothesis-seed", "1"]
        words += options or DRAWN
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        if done.returncode not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            sys.exit(done.stdout + done.stderr)
        print(f"{inputs}: {done.stdout.splitlines()[-1]}", file=sys.stderr)
        return {(component, output): ks for component, output, ks in json.loads(found.read_text())}


def noticed(ks: list[dict[str, float]], judge: str) -> str:
    """What is noticed in half of the cases, and in `NOTICED` of them."""
    ordered = sorted(k[judge] for k in ks)
    ranks = (math.ceil(share * len(ordered)) - 1 for share in (0.5, NOTICED))
    both = (ordered[rank] for rank in ranks)
    return ", ".join("never" if math.isinf(k) else f"{k:.4g}" for k in both)


def main() -> None:
    """Print a table; arguments go to pytest, as files and options."""
    found = {inputs: run(inputs, sys.argv[1:]) for inputs in INPUTS}
    judges = ("backproof", *TOLERANCES)
    heads = ("output", "inputs", "cases", *judges, *(f"alarms of {j}" for j in TOLERANCES))
    print("| " + " | ".join(heads) + " |")
    print("| --- " * len(heads) + "|")
    for row in found["general"] | found["exact"]:
        for inputs, rows in found.items():
            if ks := rows.get(row):
                alarms = [f"{sum(k[f'{judge} alarms'] for k in ks):.0f}" for judge in TOLERANCES]
                cells = [" ".join(row), inputs, str(len(ks)), *(noticed(ks, j) for j in judges)]
                print("| " + " | ".join([*cells, *alarms]) + " |")


if __name__ == "__main__":
    main()
