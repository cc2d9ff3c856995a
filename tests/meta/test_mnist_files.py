"""Files of MNIST are the official ones, or refused in one line."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.meta.mnist_files import FILES, decompress, md5, refusal, root
from tests.training import idx, mnist

__all__ = ["root"]  # a fixture


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
