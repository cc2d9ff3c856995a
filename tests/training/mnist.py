"""MNIST as arrays: from a folder that the user names, else downloaded, else the embedded digits.

Whatever the source, the files are checked first and then read by torchvision.datasets.MNIST, the
loader that people use.
"""

import socket
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from tests.training.idx import MnistError, read_official

__all__ = ["EMBEDDED", "Mnist", "MnistError", "check", "load"]

EMBEDDED = "embedded digits (MNIST was not used)"
CONNECT_SECONDS = 4.0  # to reach the mirror at all, name resolution included
STALL_SECONDS = 10.0  # without a byte, once a download has begun


class Mnist(NamedTuple):
    """Images are float32 in [0, 1] of shape (N, 784), labels int64 of shape (N,)."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str

    @property
    def name(self) -> str:
        """Of the images, wherever they came from."""
        return self.source if self.source == EMBEDDED else "MNIST"


def check(root: Path) -> None:
    """Raise MnistError unless `root`, laid out as torchvision does, holds the official files."""
    read_official(root)


def load(root: Path | None, cache: Path) -> Mnist:
    """Load MNIST from `root`; where that is None, by a download kept in `cache`, or do without.

    Raises MnistError where `root` is not what `check` asks for, or torchvision is unusable.
    """
    try:
        # Here and not above: it takes seconds, and `check` needs none of it.
        from torchvision.datasets import MNIST
    except (ImportError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise MnistError(
            f"torchvision cannot be imported ({reason}): install the one built for this torch"
        ) from error

    if root is not None:
        files, source = read_official(root), f"MNIST from {root}"
    elif downloaded := _download(cache):
        files, source = downloaded, "MNIST, downloaded by torchvision"
    else:
        from tests.training import digits

        files, source = digits.idx_files(), EMBEDDED

    # A copy: the user's folder may be read-only, and torchvision extracts a .gz beside itself.
    with TemporaryDirectory() as folder:
        raw = Path(folder, "MNIST", "raw")
        raw.mkdir(parents=True)
        for name, data in files.items():
            (raw / name).write_bytes(data)
        train, test = MNIST(folder, train=True), MNIST(folder, train=False)
    return Mnist(_pixels(train), train.targets.numpy(), _pixels(test), test.targets.numpy(), source)


def _pixels(dataset: Any) -> np.ndarray:
    bytes_ = dataset.data.numpy().reshape(len(dataset), -1)
    pixels: np.ndarray = np.divide(bytes_, 255, dtype=np.float32)
    return pixels


def _download(cache: Path) -> dict[str, bytes] | None:
    """The official files by way of `cache`, or None where they cannot be had."""
    with suppress(MnistError):
        return read_official(cache)

    from torchvision.datasets import MNIST

    timeout = socket.getdefaulttimeout()
    try:
        # Resolving a name knows no timeout, and connecting tries every address in turn: only a
        # process of its own can be given up, so that no machine without a network waits long.
        probe = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"
        url = MNIST.mirrors[0] + MNIST.resources[-1][0]
        subprocess.run(
            [sys.executable, "-c", probe, url],
            check=True,
            capture_output=True,
            timeout=CONNECT_SECONDS,
        )
        socket.setdefaulttimeout(STALL_SECONDS)
        raw = cache / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as folder:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                MNIST(folder, download=True)
            files = read_official(Path(folder))
            for path in Path(folder, "MNIST", "raw").iterdir():
                path.replace(raw / path.name)  # whole or not at all, whoever else downloads
        return files
    except (OSError, HTTPException, RuntimeError, subprocess.SubprocessError, MnistError):
        return None
    finally:
        socket.setdefaulttimeout(timeout)
