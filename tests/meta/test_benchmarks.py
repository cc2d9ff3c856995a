"""The benchmarks run, are kept for the report, and stay out of every other run."""

from tests.meta.faults.runs import open_runs

BENCH = ("tests/benchmarks", "-o", "python_files=bench_*.py", "--benchmark-quiet")
FEW = ("-k", "8 and (linear or sgd or clip_grad_value or dirac or graph or verdict)")
ONCE = ("--benchmark-max-time=0", "--benchmark-min-rounds=1")


def test_a_benchmark_is_a_multiple_of_torch() -> None:
    with open_runs() as runs:
        timed, elsewhere = runs.start(*BENCH, *FEW, *ONCE), runs.start("tests/benchmarks")
        output = timed.result().output
        assert timed.result().exit_code == 0, output
        for group in ("linear forward", "linear backward", "sgd step", "dirac", "graph"):
            lines = output[output.index(group) :].splitlines()
            assert "torch" in lines[0]
            assert any("reference" in line and line.endswith(" x") for line in lines[1:5]), lines
        assert "no tests ran" in elsewhere.result().output
