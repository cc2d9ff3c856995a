"""MNIST is downloaded whole, once, or given up soon."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.meta.mnist_files import FILES, root
from tests.training import idx, mnist

__all__ = ["root"]  # a fixture


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
