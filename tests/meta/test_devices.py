"""Devices: each is asked what it can do, each is verified by itself, and none hides behind another.

Where there is one device only, `tests.meta.second_device` stands in for the other.
"""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness import devices
from tests.harness.devices import compared_across_devices, missing_device, offered, offers_dtype
from tests.harness.record import RECORD
from tests.harness.targets import Targets
from tests.meta.faults.runs import Run, Runs, open_runs

BOTH = ("--device", "cpu", "--device", "second", "--dtype", "float32")


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with open_runs() as runs:
        yield runs


# What is asked of a device


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(devices, "OFFERED", {})
    monkeypatch.setattr(RECORD, "notes", [])
    return RECORD.notes


def test_what_a_device_cannot_do_is_tried_once_and_said_once(nothing_known: list[str]) -> None:
    tried = []

    def attempt() -> None:
        tried.append(1)
        raise TypeError("no float64 here\nand no more")

    assert [offered("mps", "float64", attempt) for _ in "12"] == [False, False]
    assert tried == [1]
    assert nothing_known == ["float64: not offered by the device mps (no float64 here)"]


def test_what_it_can_do_is_not_spoken_of(nothing_known: list[str]) -> None:
    assert [offers_dtype("cpu", "float16") for _ in "12"] == [True, True]
    assert nothing_known == []


def test_targets_leave_out_what_a_device_does_not_offer(nothing_known: list[str]) -> None:
    devices.OFFERED["mps", "float64"], devices.OFFERED["mps", "float32"] = False, True
    found = dict(Targets(("cpu", "mps"), ("float64", "float32")).by_dtype("functional"))
    assert [target.device for target in found["float64"]] == ["cpu"]
    assert [target.device for target in found["float32"]] == ["cpu", "mps"]


def test_a_missing_device_is_told_in_one_line() -> None:
    assert missing_device("cpu") is None
    reason = missing_device("nonsense")
    assert reason
    assert "\n" not in reason


# Who is wrong


def test_a_failure_tells_how_the_smallest_case_fares_on_each_device() -> None:
    tried = []

    @compared_across_devices
    def property_(targets: Targets, number: int) -> None:
        tried.append((targets.devices, number))
        if "second" in targets.devices and number > 2:
            raise AssertionError(f"wrong by {number}\nand more")

    @settings(database=None, derandomize=True)
    @given(number=st.integers(0, 9))
    def of_both(number: int) -> None:
        property_(targets=Targets(("cpu", "second")), number=number)

    with pytest.raises(AssertionError, match="wrong by 3") as raised:
        of_both()
    assert raised.value.__notes__[:2] == [
        "the same case on cpu alone: agrees with the reference",
        "the same case on second alone: wrong by 3",
    ]
    assert {number for devices, number in tried if len(devices) == 1} == {3}


LINEAR = ("tests/layers/test_linear.py", "-k", "equal_the_reference")
TF32 = (*LINEAR, *BOTH, "-p", "tests.meta.second_device_tf32")


def test_tf32_on_the_second_device_only_is_found_and_named(runs: Runs) -> None:
    unshrunk = ("-p", "tests.meta.faults.plugin", "--hypothesis-profile", "ci-unshrunk")
    run = runs(*TF32, *unshrunk)
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED, run.output
    for line in (
        r"linear: (output|grad_\w+) on second float32 \w+ deviates from the reference",
        "on cpu alone: agrees with the reference",
        r"on second alone: linear: (output|grad_\w+) on second float32",
    ):
        assert re.search(line, run.output), run.output
    assert not re.search("linear: .* on cpu .* deviates", run.output), run.output


def test_where_tf32_is_asked_for_it_is_within_its_own_bound(runs: Runs) -> None:
    tf32 = ("--switch", "mkldnn.matmul.fp32_precision=tf32")
    run = runs(*TF32, *tf32, "--hypothesis-profile", "default", "--hypothesis-seed", "1")
    succeeds(run)
    share = re.search(
        r"^linear on second.*?output +\d+ +([\d.]+) ", run.output, re.MULTILINE | re.DOTALL
    )
    assert share, run.output
    assert 0.3 < float(share[1]) <= 1


def test_the_second_device_refuses_what_cuda_would(runs: Runs) -> None:
    succeeds(runs("tests/meta/on_second_device.py", "-p", "tests.meta.second_device"))


def succeeds(run: Run) -> None:
    assert run.exit_code == pytest.ExitCode.OK, run.output


SAMPLE = (
    *("tests/layers/test_linear.py", "tests/losses/test_nll_loss.py", "tests/optimizers"),
    *("-k", "test_linear or nll_loss or (histories and sgd)"),
)
FOLDERS = (
    *("autograd", "clipping", "initialization", "layers", "losses", "mixed_precision"),
    *("modules", "optimizers", "second_order", "tensors"),
)
EVERYTHING = [f"tests/{name}" for name in FOLDERS]


def test_every_component_stays_on_its_device(runs: Runs, request: pytest.FixtureRequest) -> None:
    """A sample of them; `--hypothesis-profile thorough` runs all."""
    thorough = request.config.getoption("--hypothesis-profile") == "thorough"
    chosen = EVERYTHING if thorough else SAMPLE
    quick = ("-p", "tests.meta.second_device", "--hypothesis-profile", "quick")
    run = runs(*chosen, *BOTH, *quick, "-p", "no:xdist")
    succeeds(run)
    on_second = re.findall(r"^(\w+) on second \(", run.output, re.MULTILINE)
    assert len(set(on_second)) >= (20 if thorough else 3), run.output
