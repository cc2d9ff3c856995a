"""MNIST's own files, the embedded digits that are a fair stand-in, and who is told which."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.meta.mnist_files import FILES, refusal
from tests.training import digits, idx, mnist

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def real_root(request: pytest.FixtureRequest) -> Path:
    named = request.config.getoption("mnist_root", None) or os.environ.get("BACKPROOF_MNIST_ROOT")
    if not named:
        pytest.skip("needs the real files: name their folder in BACKPROOF_MNIST_ROOT")
    return Path(named)


# The real files


def test_the_real_files_hold_what_is_known_of_mnist(real_root: Path, tmp_path: Path) -> None:
    data = mnist.load(real_root, tmp_path)
    assert data.train_images.shape == (60_000, 784)
    assert data.test_images.shape == (10_000, 784)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    # The mean and deviation that people normalise MNIST by.
    assert round(float(data.train_images.mean(dtype=float)), 4) == 0.1307
    assert round(float(data.train_images.std(dtype=float)), 4) == 0.3081


def test_the_real_files_are_accepted_decompressed_too(real_root: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, data in idx.read_official(real_root).items():
        (raw / name).write_bytes(data)
    mnist.check(tmp_path)
    labels = raw / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    assert "expected 60,000 labels and found 59,999 labels" in refusal(tmp_path)


# The embedded digits


def test_the_digits_are_the_same_every_time() -> None:
    assert digits.idx_files(train=40, test=20) == FILES
    assert digits.idx_files(train=40, test=20, seed=1) != FILES


def test_the_digits_are_varied_and_too_hard_for_a_template() -> None:
    files = digits.idx_files(train=2000, test=1000)
    images, truth, test_images, test_truth = (
        np.frombuffer(data, np.uint8, offset=16 if "images" in name else 8).astype(float)
        for name, data in files.items()
    )
    images, test_images = images.reshape(-1, 784), test_images.reshape(-1, 784)
    assert len(np.unique(images, axis=0)) == 2000
    assert np.bincount(truth.astype(int), minlength=10).min() > 100
    templates = np.stack([images[truth == digit].mean(axis=0) for digit in range(10)])
    distance = (templates**2).sum(axis=1) - 2 * test_images @ templates.T
    assert 0.5 < (distance.argmin(axis=1) == test_truth).mean() < 0.95


# The command line


CONFTEST = """
import os, sys, types
import numpy as np
import tests.training.plugin as plugin
from tests.training.mnist import EMBEDDED, Mnist

assert "torchvision" not in sys.modules, "it would slow down every start"
notes = []
sys.modules["tests.harness.record"] = types.SimpleNamespace(note=notes.append)
plugin.find_spec = lambda name: "WITHOUT_TORCHVISION" not in os.environ or None
plugin.load = lambda root, cache: Mnist(*4 * [np.zeros(1)], root and str(root) or EMBEDDED)

def pytest_sessionfinish():
    print(*notes)
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin alone, on one test that prints where its data came from."""
    (folder / "pytest.ini").touch()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text("def test_it(mnist): print('source:', mnist.source)\n")
    inherited = {k: v for k, v in os.environ.items() if k != "BACKPROOF_MNIST_ROOT"}
    plain = {"PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "tests.training.plugin", *options],
        check=False,
        cwd=folder,
        env=inherited | plain | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_bad_root_ends_the_run_before_any_test_in_one_line(tmp_path: Path, by: str) -> None:
    bad = tmp_path / "nowhere"
    if by == "option":
        run = run_pytest(tmp_path, f"--mnist-root={bad}")
    else:
        run = run_pytest(tmp_path, BACKPROOF_MNIST_ROOT=str(bad))
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert run.stdout.strip() == ""
    (line,) = run.stderr.strip().splitlines()
    assert f"{bad} does not exist" in line


def test_a_run_without_mnist_says_so(tmp_path: Path) -> None:
    run = run_pytest(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "source: embedded digits" in run.stdout
    assert "MNIST was not used: " in run.stdout


def test_a_run_without_torchvision_leaves_mnist_out_and_says_so(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, WITHOUT_TORCHVISION="1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 skipped" in run.stdout
    assert "MNIST: torchvision, which reads it, is not installed" in run.stdout
