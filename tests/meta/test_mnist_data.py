"""MNIST arrives whole or is refused in one line, and the embedded digits are a fair stand-in."""

import gzip
import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.training import digits, idx, mnist

REPOSITORY = Path(__file__).parents[2]
FILES = digits.idx_files(train=40, test=20)  # stands in for the official files


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in torchvision's layout whose four small .gz files are the official ones."""
    root = tmp_path / "data"
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    official = []
    for file in idx.FILES:
        data = FILES[file.name]
        packed = gzip.compress(data, mtime=0)
        (raw / f"{file.name}.gz").write_bytes(packed)
        shape = (40 if "train" in file.name else 20, *file.shape[1:])
        official.append(idx.IdxFile(file.name, shape, md5(data), md5(packed)))
    monkeypatch.setattr(idx, "FILES", tuple(official))
    return root


@pytest.fixture
def real_root(request: pytest.FixtureRequest) -> Path:
    named = request.config.getoption("mnist_root", None) or os.environ.get("BACKPROOF_MNIST_ROOT")
    if not named:
        pytest.skip("needs the real files: name their folder in BACKPROOF_MNIST_ROOT")
    return Path(named)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def decompress(root: Path, *names: str) -> None:
    for name in names:
        (root / "MNIST" / "raw" / name).write_bytes(FILES[name])


def refusal(root: Path) -> str:
    with pytest.raises(mnist.MnistError) as caught:
        mnist.check(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


# The files


@pytest.mark.parametrize("names", [[], ["t10k-labels-idx1-ubyte"], list(FILES)])
def test_gz_and_decompressed_files_are_accepted_in_any_mixture(
    root: Path, tmp_path: Path, names: list[str]
) -> None:
    decompress(root, *names)
    for name in names:
        (root / "MNIST" / "raw" / f"{name}.gz").unlink()
    before = sorted(root.rglob("*"))
    data = mnist.load(root, tmp_path / "cache")
    assert data.source == f"MNIST from {root}"
    assert data.train_images.shape == (40, 784)
    assert data.train_images.dtype == np.float32
    assert data.test_labels.shape == (20,)
    assert data.test_labels.dtype == np.int64
    pixels = np.frombuffer(FILES["train-images-idx3-ubyte"], np.uint8, offset=16)
    np.testing.assert_array_equal(data.train_images.ravel(), pixels / np.float32(255))
    assert sorted(root.rglob("*")) == before, "the user's folder is left as it was"


Damage = tuple[Callable[[bytes], bytes], str]


def flip_a_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def labels(count: int) -> bytes:
    return idx.encode(np.zeros(count, np.uint8))


GZ_DAMAGE: dict[str, Damage] = {
    "truncated": (lambda gz: gz[:-9], "is a truncated gzip file"),
    "truncated early": (lambda gz: gz[:5], "is a truncated gzip file"),
    "empty": (lambda _: b"", "is cut short after 0 bytes"),
    "HTML": (lambda _: b"\n<!DOCTYPE html><p>404", "is an HTML page"),
    "XHTML": (lambda _: b"<?xml version='1.0'?>\n<HTML lang='en'>", "is an HTML page"),
    "zip": (lambda _: b"PK\x03\x04", "is not a sound gzip file"),
    "not compressed": (gzip.decompress, "is not a sound gzip file"),
    "one bit": (flip_a_bit, "is not a sound gzip file"),
    "appended": (lambda gz: gz + b"more", "is not a sound gzip file"),
    "text": (lambda _: gzip.compress(b"plain text"), "starts with 706c6169, not 00000801"),
    "one label less": (lambda _: gzip.compress(labels(39)), "expected 40 labels and found 39 "),
    "one label more": (lambda _: gzip.compress(labels(41)), "expected 40 labels and found 41 "),
}


@pytest.mark.parametrize(("damage", "fault"), GZ_DAMAGE.values(), ids=GZ_DAMAGE)
def test_a_damaged_gz_is_refused_by_name(
    root: Path, damage: Callable[[bytes], bytes], fault: str
) -> None:
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(root)
    assert message.startswith(f"{path} ")
    assert fault in message
    assert message.endswith("/train-labels-idx1-ubyte.gz in its place")


DAMAGE: dict[str, Damage] = {
    "truncated": (lambda data: data[:-1], "expected 40 labels and found 39 labels"),
    "appended": (lambda data: data + b"0", "expected 40 labels and found 41 labels"),
    "header only": (lambda data: data[:6], "is cut short after 6 bytes"),
    "one label less": (lambda _: labels(39), "expected 40 labels and found 39 labels"),
    "images": (lambda _: FILES["train-images-idx3-ubyte"], "starts with 00000803, not 00000801"),
    "HTML": (lambda _: b"<html><title>404</title></html>", "is an HTML page"),
    "one label": (lambda data: data[:-1] + b"0", "has the MD5 checksum"),
}


@pytest.mark.parametrize(("damage", "fault"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_decompressed_file_is_refused_though_a_sound_gz_lies_beside_it(
    root: Path, damage: Callable[[bytes], bytes], fault: str
) -> None:
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(damage(FILES[path.name]))
    message = refusal(root)
    assert message.startswith(f"{path} ")
    assert fault in message


def test_a_difference_in_content_alone_is_told_by_both_checksums(root: Path) -> None:
    path = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
    official = md5(path.read_bytes())
    changed = bytearray(gzip.decompress(path.read_bytes()))
    changed[-1] ^= 1
    path.write_bytes(gzip.compress(changed))
    assert f"checksum {md5(path.read_bytes())}, and the official file has {official}" in refusal(
        root
    )


def test_images_of_another_size_are_told() -> None:
    larger = idx.encode(np.zeros((5, 32, 32), np.uint8))
    fault = "expected 60,000 images of 28x28 and found 5 images of 32x32"
    with pytest.raises(mnist.MnistError, match=fault):
        idx._check_shape(larger, (60_000, 28, 28))


def test_a_label_too_few_is_counted() -> None:
    fault = "expected 60,000 labels and found 59,999 labels"
    with pytest.raises(mnist.MnistError, match=fault):
        idx._check_shape(labels(59_999), (60_000,))


def test_a_missing_file_and_a_folder_in_its_place_are_told(root: Path) -> None:
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.unlink()
    assert refusal(root).startswith(f"{path} is missing: put ")
    path.mkdir()
    assert refusal(root).startswith(f"{path} cannot be read (")


# The folder


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'} does not exist: ")


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file").startswith(f"{tmp_path / 'file'} is not a folder: ")


def test_an_empty_folder_is_told_what_to_hold(tmp_path: Path) -> None:
    assert f"has no folder MNIST/raw: put the four .gz files from {idx.MIRROR}" in refusal(tmp_path)


@pytest.mark.parametrize("inner", ["MNIST", "MNIST/raw"])
def test_who_names_an_inner_folder_is_told_the_outer_one(root: Path, inner: str) -> None:
    assert refusal(root / inner).endswith(f": name {root} instead")


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "MNIST").mkdir()
    raw = tmp_path / "MNIST" / "raw"
    raw.symlink_to(raw)  # a loop: nobody can read it, not even root
    assert refusal(tmp_path).startswith(f"{raw} cannot be read (")


# The download


@pytest.fixture
def mirror(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server in place of torchvision's mirror; yields the paths that are asked of it."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(root / "MNIST" / "raw"))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(
        "torchvision.datasets.MNIST.mirrors", [f"http://127.0.0.1:{server.server_port}/"]
    )
    resources = [(f"{file.name}.gz", file.gz_md5) for file in idx.FILES]
    monkeypatch.setattr("torchvision.datasets.MNIST.resources", resources)
    yield asked
    server.shutdown()
    server.server_close()


def test_a_download_is_silent_and_serves_later_runs(
    mirror: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = mnist.load(None, tmp_path / "cache")
    assert first.source == "MNIST, downloaded by torchvision"
    assert capfd.readouterr() == ("", "")
    assert mirror
    mirror.clear()
    again = mnist.load(None, tmp_path / "cache")
    assert not mirror
    np.testing.assert_array_equal(first.train_images, again.train_images)


def test_a_cache_that_has_gone_bad_is_downloaded_anew(mirror: list[str], tmp_path: Path) -> None:
    mnist.load(None, tmp_path / "cache")
    kept = tmp_path / "cache" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    kept.write_bytes(kept.read_bytes()[:-1])
    assert mnist.load(None, tmp_path / "cache").source == "MNIST, downloaded by torchvision"
    assert kept.read_bytes() == FILES[kept.name]


def test_a_download_that_another_process_finishes_first_succeeds(
    mirror: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    def read_late(folder: Path) -> dict[str, bytes]:
        files = idx.read_official(folder)
        monkeypatch.setattr(mnist, "read_official", idx.read_official)
        assert mnist._download(cache) == FILES
        return files

    cache.mkdir()

    def read(folder: Path) -> dict[str, bytes]:
        return idx.read_official(folder) if folder == cache else read_late(folder)

    monkeypatch.setattr(mnist, "read_official", read)
    assert mnist._download(cache) == FILES
    assert idx.read_official(cache) == FILES
    assert [path.name for path in cache.iterdir()] == ["MNIST"], "no temporary folder stays"


def test_a_mirror_that_serves_another_file_is_not_believed(
    mirror: list[str], root: Path, tmp_path: Path
) -> None:
    for path in (root / "MNIST" / "raw").iterdir():
        path.write_bytes(b"<html>please log in</html>")
    assert mnist._download(tmp_path / "cache") is None


def test_a_mirror_that_never_answers_is_given_up(
    mirror: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            "torchvision.datasets.MNIST.mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"]
        )
        start = time.monotonic()
        assert mnist._download(tmp_path / "cache") is None
    assert time.monotonic() - start < 2
    assert socket.getdefaulttimeout() is None


def test_the_checksums_are_those_of_torchvision() -> None:
    from torchvision.datasets import MNIST  # as `mnist` does: not to collect the tests

    assert [(f"{file.name}.gz", file.gz_md5) for file in idx.FILES] == MNIST.resources
    assert idx.MIRROR in MNIST.mirrors


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
