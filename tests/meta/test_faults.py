"""Link 4 of the chain of trust: the suite finds the faults that are put into torch.

Each fault has a run of its own. Those that must always be found run by default, with the profile
`ci`, which repeats itself. The others sit in corners that a few thousand examples reach and a
hundred may not: `--hypothesis-profile thorough` runs them all.
"""

import math
import re
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.meta.faults.catalogue import CONTROL, FAULTS, Fault
from tests.meta.faults.files import FILES, GRAPH, SETTERS, files
from tests.meta.faults.runs import Run, open_runs


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> Iterator[dict[str, "Future[Run]"]]:
    """The runs of all faults that the selected tests are about, begun at once."""
    thorough = request.config.getoption("--hypothesis-profile") == "thorough"
    selected = {
        item.callspec.params.get("fault")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    with open_runs() as runs:
        futures = {}
        for fault in (CONTROL, *FAULTS.values()):
            if fault.name not in selected or not (fault.required or thorough):
                continue
            profile = ["--hypothesis-profile", "ci"]
            if not fault.required:
                profile = ["--hypothesis-profile", "thorough", "--hypothesis-seed", "1"]
            elif fault is CONTROL:
                profile = ["--hypothesis-profile", "quick", "--hypothesis-seed", "1"]
            futures[fault.name] = runs.start(
                *files(fault.component),
                *("-p", "tests.meta.faults.plugin", "--fault", fault.name),
                *("--dtype", fault.dtype, "-x", *profile),
            )
        yield futures


def elements(output: str) -> list[int]:
    """The sizes of the arrays in the falsifying example, and how many modules and hooks it has."""
    shapes = re.findall(r"in shape \(([\d, ]*)\)", output)
    counts = re.findall(r"of (\d+) modules|(?:before|after|features)=(\d+)", output)
    sizes = [math.prod(int(side) for side in re.findall(r"\d+", shape)) for shape in shapes]
    return sizes + [int(a or b) for a, b in counts]


@pytest.mark.parametrize("fault", ["control", *FAULTS])
def test_a_fault_is_found_and_shrunk(found: dict[str, "Future[Run]"], fault: str) -> None:
    if fault not in found:
        pytest.skip("a corner: --hypothesis-profile thorough runs all faults")
    run = found[fault].result()
    if fault == "control":
        assert run.exit_code == pytest.ExitCode.OK, run.output
        return
    expected: Fault = FAULTS[fault]
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED, run.output
    assert re.search(expected.found, run.output), run.output
    sizes = elements(run.output)
    assert sizes, run.output
    assert max(sizes) <= expected.elements, run.output


def test_each_required_kind_of_fault_is_there() -> None:
    required = [fault.component for fault in FAULTS.values() if fault.required]
    first_order = ["linear", "linear", "relu", "cross_entropy", "sgd", "adam", "adamw"]
    assert sorted(required) == sorted(
        [
            *first_order,
            "linear",
            "relu",
            "relu in place",
            "threshold",
            "cross_entropy",
            *("log_softmax", "nll_loss", "mse_loss", "l1_loss"),
            *3 * ["batch_norm"],
            "dropout",
            "clip_grad_norm",
            "clip_grads_with_norm",
            "clip_grad_value",
            *SETTERS["distributions"],
            *("kaiming_uniform", "xavier_normal", "dirac", "Linear defaults"),
            "graph",
            *GRAPH,
            *(part for part in FILES if part.startswith("modules") and part != "modules load"),
        ]
    )
