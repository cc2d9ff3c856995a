"""A verdict refuses what is wrong, says why, and reaches the end of the run; so does preflight."""

import marshal
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from reference.linear import linear
from tests.harness import preflight, verdict
from tests.harness.record import Record, Tally
from tests.harness.rounding import Rounding
from tests.harness.targets import Target
from tests.harness.verdict import Deviation, check, exactly

CPU = Target("cpu", "float32", "functional")
ROUNDING = Rounding.kernel("float32")
ROW = ("cpu", "linear", "functional", "output")


@pytest.fixture(autouse=True)
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record of its own, so that what deviates here does not deviate in the matrix."""
    record = Record()
    monkeypatch.setattr(verdict, "RECORD", record)
    return record


EXACT = ROUNDING.array([[1.0, -2.0, 0.5], [0.0, 4.0, 8.0]])
RIGHT = torch.tensor([[1.0, -2.0, 0.5], [0.0, 4.0, 8.0]])


def deviation(actual: torch.Tensor | None, expected: object = EXACT) -> str:
    with pytest.raises(Deviation) as caught:
        check("linear", "output", CPU, actual, expected)
    return str(caught.value)


def test_what_equals_the_reference_passes_and_is_recorded(record: Record) -> None:
    check("linear", "output", CPU, RIGHT, EXACT)
    assert record.tallies == {(ROW, "float32"): Tally(1, 6, shares=[1, *9 * [0]])}


def test_what_must_be_exact_is_refused_when_one_bit_is_off() -> None:
    numbers = RIGHT.numpy().astype(float)
    exactly("linear", "output", CPU, RIGHT, numbers)
    numbers[0, 0] += 2.0**-23
    with pytest.raises(Deviation, match="deviates from the reference"):
        exactly("linear", "output", CPU, RIGHT, numbers)


# What is refused before any number is compared


def test_a_missing_gradient_is_refused() -> None:
    assert deviation(None) == (
        "linear: output on cpu float32 functional is missing: torch returned None"
    )


def test_another_dtype_is_refused_though_the_numbers_are_right() -> None:
    message = deviation(RIGHT.double())
    assert message.startswith(
        "linear: output on cpu float32 functional is ('torch.float64', (2, 3)"
    )
    assert "expected ('torch.float32', (2, 3)" in message


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 2, 3), (2, 3, 1)])
def test_another_shape_is_refused_though_the_numbers_are_right(shape: tuple[int, ...]) -> None:
    assert f"{shape}, 'cpu'), expected ('torch.float32', (2, 3), 'cpu')" in deviation(
        RIGHT.reshape(shape)
    )


def test_numbers_that_would_broadcast_are_refused() -> None:
    ones = ROUNDING.array(np.ones((2, 3)))
    assert "(1,), 'cpu'), expected" in deviation(torch.ones(1), ones)
    assert "(), 'cpu'), expected" in deviation(torch.ones(()), ones)


# What the message says


def test_an_exact_result_admits_no_error_and_the_message_names_it_all() -> None:
    wrong = RIGHT.clone()
    wrong[1, 2] += 2.0**-20  # 1 ulp at 8
    assert deviation(wrong).splitlines() == [
        "linear: output on cpu float32 functional deviates from the reference",
        "  wrong elements: 1 of 6, the worst first",
        "  index   expected  got                ulp off  / bound  bound",
        "  [1, 2]  8.0       8.000000953674316  1        inf      0: every operation is exact here",
    ]


def test_the_worst_element_is_told_in_ulp_and_as_a_share_of_the_bound(record: Record) -> None:
    x, w = np.full((1, 4), 0.1, np.float32), np.full((2, 4), 0.3, np.float32)
    expected = ROUNDING.stored(linear(ROUNDING.array(x), ROUNDING.array(w)))
    right = torch.from_numpy(x) @ torch.from_numpy(w).T
    check("linear", "output", CPU, right, expected)
    wrong = right.clone()
    wrong[0, 1] *= 1 + 1e-5
    wrong[0, 0] *= 1 + 1e-4
    message = deviation(wrong, expected)
    assert "wrong elements: 2 of 2, the worst first" in message
    error = abs(float(wrong[0, 0]) - float(expected.value[0, 0]))
    told = re.search(r"\[0, 0\] +\S+ +\S+ +(\S+) +(\S+) +", message)
    assert told, message
    ulp, bound = 2.0**-27, float(expected.bound[0, 0])  # of numbers from 1/16 to 1/8
    assert told.groups() == tuple(f"{x:.3g}" for x in (error / ulp, error / bound))
    (tally,) = record.tallies.values()
    assert (tally.examples, tally.deviations) == (2, 1)
    assert tally.worst_share == pytest.approx(error / bound)
    assert tally.worst_ulp == pytest.approx(error / ulp)


def test_a_scalar_has_no_index() -> None:
    assert "\n  scalar " in deviation(torch.tensor(1.0), ROUNDING.array(np.zeros(())))


@pytest.mark.parametrize(
    ("dtype", "leading"),
    [("float32", r"from \d+ roundings in float32"), ("float16", "from storing in float16")],
)
def test_the_part_that_dominates_the_bound_comes_first(dtype: str, leading: str) -> None:
    rounding = Rounding.kernel(dtype)
    target = Target("cpu", dtype, "functional")
    x = np.linspace(0.5, 1, 64, dtype=np.float16).reshape(1, 64)
    expected = rounding.stored(linear(rounding.array(x), rounding.array(x)))
    with pytest.raises(Deviation, match=rf"  \S+: \S+ {leading}"):
        check("linear", "output", target, torch.zeros(1, 1, dtype=target.torch_dtype), expected)


def test_an_error_inherited_from_another_kernel_is_told() -> None:
    tenth = np.full((1, 1), 0.1, np.float32)
    first = ROUNDING.stored(linear(ROUNDING.array(tenth), ROUNDING.array(tenth)))
    second = ROUNDING.stored(linear(ROUNDING.array(first), ROUNDING.array(np.ones((1, 1)))))
    assert "inherited from earlier operations" in deviation(torch.ones(1, 1), second)


def test_what_is_no_matter_of_numbers_deviates_and_is_counted(record: Record) -> None:
    with pytest.raises(Deviation, match=r"^linear: output on .* was written to$"):
        verdict.deviates("linear", "output", CPU, "was written to")
    assert record.tallies[ROW, "float32"].deviations == 1


# Infinities, NaN and the sign of zero


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (np.nan, 0.0),
        (np.nan, np.inf),
        (0.0, np.nan),
        (np.inf, -np.inf),
        (np.inf, 3.4e38),
        (3.0, np.inf),
        (0.0, -0.0),
        (-0.0, 0.0),
    ],
)
def test_kinds_must_agree(expected: float, got: float) -> None:
    message = deviation(torch.tensor([got]), ROUNDING.array([expected]))
    assert re.search(rf"\[0\] +{re.escape(repr(expected))} ", message)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 0.0, -0.0])
def test_the_same_kind_passes(number: float, record: Record) -> None:
    check("linear", "output", CPU, torch.tensor([number]), ROUNDING.array([number]))
    assert not record.tallies[ROW, "float32"].deviations


def test_the_sign_of_a_computed_zero_is_free() -> None:
    computed = ROUNDING.stored(linear(ROUNDING.array([[0.0]]), ROUNDING.array([[1.0]])))
    check("linear", "output", CPU, torch.tensor([[-0.0]]), computed)


def test_nothing_can_be_wrong_with_nothing(record: Record) -> None:
    check("linear", "output", CPU, torch.empty(0, 3), ROUNDING.array(np.empty((0, 3))))
    assert record.tallies[ROW, "float32"] == Tally(1, 0, shares=[1, *9 * [0]])


# The record


def test_a_record_survives_the_way_to_another_process() -> None:
    one, other = Record(), Record()
    one.tally(ROW, "float32").add(Tally(3, 30, 0.25, np.float64(0.5), 7.0, 1))
    one.note("a note")
    other.merge(marshal.loads(marshal.dumps(one.dump())))  # which knows none but Python's numbers
    assert other == one


def test_two_records_add_up() -> None:
    one, other = Record(), Record()
    other_row = ("cpu", "relu", "functional", "output")
    one.tally(ROW, "float32").add(Tally(3, 30, 0.25, 0.5, 7.0, 1))
    one.note("said by both")
    other.tally(ROW, "float32").add(Tally(2, 20, 0.5, 0.75, 3.0, 0))
    other.tally(ROW, "float16").add(Tally(1, 1))
    other.tally(other_row, "float32").add(Tally(4, 4))
    other.note("said by both")
    other.note("said by one")
    one.merge(other.dump())
    assert one.tallies == {
        (ROW, "float32"): Tally(5, 50, 0.75, 0.75, 7.0, 1),
        (ROW, "float16"): Tally(1, 1),
        (other_row, "float32"): Tally(4, 4),
    }
    assert one.notes == ["said by both", "said by one"]


# Preflight


@pytest.fixture
def unrestricted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that announces AMX, where nobody has restricted oneDNN."""
    # Set first, so that what the test leaves is taken back even if nothing was set before.
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setattr(preflight, "cpu_flags", lambda: ["fpu", "amx_tile", "avx512f"])
    monkeypatch.setattr(preflight, "probed", lambda: pytest.fail("asked for no reason"))
    return monkeypatch


def test_without_amx_nothing_is_tried(unrestricted: pytest.MonkeyPatch) -> None:
    unrestricted.setattr(preflight, "cpu_flags", lambda: ["fpu", "avx512f"])
    assert preflight.restrict_wrong_kernels() is None
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_flags_are_known_where_linux_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self: f"flags : {self.name} amx_tile")
    assert preflight.cpu_flags() == ["flags", ":", "cpuinfo", "amx_tile"]

    def missing(self: Path) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", missing)
    assert preflight.cpu_flags() == []


def test_a_restriction_of_the_user_stands(unrestricted: pytest.MonkeyPatch) -> None:
    unrestricted.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert preflight.restrict_wrong_kernels() is None
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"


def test_amx_that_works_is_left_on(unrestricted: pytest.MonkeyPatch) -> None:
    unrestricted.setattr(preflight, "probed", lambda: "")
    assert preflight.restrict_wrong_kernels() is None
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_amx_that_is_wrong_is_turned_off_and_told(unrestricted: pytest.MonkeyPatch) -> None:
    unrestricted.setattr(preflight, "probed", lambda: "they crash")
    assert preflight.restrict_wrong_kernels() == (
        "kernels for AMX: they crash; everything ran with ONEDNN_MAX_CPU_ISA=AVX512_CORE_FP16"
    )
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == preflight.RESTRICTED == "AVX512_CORE_FP16"


LEAKING = """
import torch
class Leaking(torch.Tensor):
    def __matmul__(self, other):
        return torch.full((64, 16), torch.nan)
torch.zeros = lambda *sizes, **kinds: torch.empty(sizes).as_subclass(Leaking)
"""


@pytest.mark.parametrize(
    ("probe", "wrong"),
    [
        ("", ""),
        (
            preflight.PROBE.replace("import torch\n", LEAKING, 1),
            "they let an infinity into the row",
        ),
        ("raise RuntimeError('could not create a primitive')", "they crash on this machine"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "they crash on this machine"),
    ],
    ids=["sound", "leaks", "raises", "dies"],
)
def test_a_probe_tells_what_is_wrong(
    probe: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "PROBE", probe)
    assert wrong in preflight.probed()
    assert bool(wrong) == bool(preflight.probed())
