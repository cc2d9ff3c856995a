"""Four small files that stand in for the official ones of MNIST, and how they are refused."""

import gzip
import hashlib
from pathlib import Path

import pytest

from tests.training import digits, idx, mnist

FILES = digits.idx_files(train=40, test=20)


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
