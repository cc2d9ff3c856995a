"""The tests of CUDA graphs and streams, where there is no CUDA: on graphs that the CPU imitates."""

import itertools
from typing import Any

import pytest
import torch

from tests.cuda import test_graphs, test_streams
from tests.cuda.replayed import WARM_UP, Replayed
from tests.harness.record import RECORD
from tests.harness.targets import Target, Targets
from tests.harness.verdict import Deviation
from tests.meta.graphs_on_cpu import graphs_on_cpu  # noqa: F401  (a fixture)
from tests.optimizers.test_compiled import OPTIMIZERS

CPU = Targets(("cpu",), ("float32",))


@pytest.fixture(autouse=True)
def _on_the_cpu(graphs_on_cpu: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(RECORD, "tallies", {})
    for module in (test_graphs, test_streams):
        monkeypatch.setattr(
            module, "cuda_targets", lambda targets, path: [Target("cpu", "float32", path)]
        )


@pytest.mark.parametrize("path", test_graphs.PATHS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_agrees(name: str, path: str) -> None:
    test_graphs.test_a_replayed_step_equals_the_reference(CPU, name, path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_scaled_step_agrees(name: str) -> None:
    test_graphs.test_a_replayed_scaled_step_equals_the_reference(CPU, name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_step_agrees(name: str) -> None:
    test_graphs.test_a_replayed_training_step_equals_the_reference(CPU, name)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_a_step_count_of_python_stays_what_it_was_recorded_as(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = OPTIMIZERS[name]

    def counted_in_python(*args: Any, **options: Any) -> torch.optim.Optimizer:
        opt = make(*args, **options)
        sound, count = opt.step, itertools.count()

        def step() -> None:
            number = next(count)
            for state in opt.state.values():
                state["step"].fill_(number)
            sound()

        opt.step = step
        return opt

    monkeypatch.setitem(OPTIMIZERS, name, counted_in_python)
    with pytest.raises(Deviation, match=f"^{name}: param on cpu float32 for-loop"):
        test_graphs.test_a_replayed_step_equals_the_reference(CPU, name, "for-loop")


def test_a_scale_of_python_stays_what_it_was_recorded_as(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, right = torch.amp.GradScaler.update, iter((64.0, 32.0, 32.0, 64.0))

    def update(self: Any) -> None:
        sound(self, next(right))

    monkeypatch.setattr(torch.amp.GradScaler, "update", update)
    with pytest.raises(Deviation, match=r"^grad_scaler: scale on cpu "):
        test_graphs.test_a_replayed_scaled_step_equals_the_reference(CPU, "adam")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_recorded_step_that_is_never_skipped_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = OPTIMIZERS[name]

    def unskipped(*args: Any, **options: Any) -> torch.optim.Optimizer:
        opt = make(*args, **options)
        sound, count = opt.step, itertools.count()

        def step() -> None:
            if next(count) >= WARM_UP:
                opt.found_inf = torch.zeros(())
            sound()

        opt.step = step
        return opt

    monkeypatch.setitem(OPTIMIZERS, name, unskipped)
    with pytest.raises(Deviation, match=f"^{name}, scaled: param on cpu float32 fused"):
        test_graphs.test_a_replayed_scaled_step_equals_the_reference(CPU, name)


def test_streams_and_kernels_without_an_order_agree() -> None:
    test_streams.test_another_stream_computes_the_same(CPU)
    test_streams.test_two_runs_without_an_order_are_both_within_the_bound(CPU)


def test_what_is_recorded_is_done_by_the_replay_alone() -> None:
    count, python = torch.zeros(()), []

    def counting() -> None:
        count.add_(1)
        python.append(1)

    step = Replayed("cpu", counting)
    for number in range(1, WARM_UP + 4):
        step()
        assert count == number
    assert len(python) == WARM_UP + 1


def test_a_recorded_step_does_not_look_at_numbers() -> None:
    count = torch.zeros(())
    step = Replayed("cpu", lambda: count.add_(1) if count.item() < 9 else None)
    for _ in range(WARM_UP):
        step()
    with pytest.raises(RuntimeError, match="when stream is capturing"):
        step()
