"""IDX, the file format of MNIST: the four official files, and reading them with every fault named.

An IDX file is a magic number, the size of each dimension, and the data. torchvision trusts the
decompressed files as they lie; here their checksums are compared too.
"""

import gzip
import hashlib
import struct
import zlib
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"


class MnistError(Exception):
    """MNIST cannot be used: one line saying what, where, and what to do."""


class IdxFile(NamedTuple):
    """One of the four official files."""

    name: str
    shape: tuple[int, ...]
    md5: str
    gz_md5: str  # as torchvision.datasets.MNIST.resources states it


# fmt: off
FILES = (
    IdxFile("train-images-idx3-ubyte", (60_000, 28, 28),
            "6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    IdxFile("train-labels-idx1-ubyte", (60_000,),
            "a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
    IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28),
            "2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"),
    IdxFile("t10k-labels-idx1-ubyte", (10_000,),
            "27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c"),
)
# fmt: on


def encode(array: np.ndarray) -> bytes:
    """The IDX file of an array of bytes."""
    return _header(array.shape) + array.astype(np.uint8, casting="no").tobytes()


def read_official(root: Path) -> dict[str, bytes]:
    """The four official files under `root`/MNIST/raw, decompressed, by name; else MnistError."""
    raw = root / "MNIST" / "raw"
    try:
        next(raw.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        fault = "does not exist"
        if root.exists():
            fault = "has no folder MNIST/raw" if root.is_dir() else "is not a folder"
        remedy = f"put the four .gz files from {MIRROR} into {raw}"
        for above in root.absolute().parents[:2]:
            if (above / "MNIST" / "raw").is_dir():  # then `root` is most likely one of these two
                remedy = f"name {above} instead"
        raise MnistError(f"{root} {fault}: {remedy}") from error
    except OSError as error:
        raise MnistError(f"{raw} cannot be read ({error.strerror}): make it readable") from error
    return {file.name: _read(raw, file) for file in FILES}


def _read(raw: Path, file: IdxFile) -> bytes:
    """One file's content; where it lies decompressed, torchvision reads that, and so do we."""
    path, md5 = raw / file.name, file.md5
    try:
        if not path.is_file():
            path, md5 = raw / f"{file.name}.gz", file.gz_md5
        stored = path.read_bytes()
        if any(tag in stored[:1000].lower() for tag in (b"<html", b"<!doctype html")):
            raise MnistError("is an HTML page")
        data = gzip.decompress(stored) if path.suffix == ".gz" else stored
        _check_shape(data, file.shape)
        found = hashlib.md5(stored, usedforsecurity=False).hexdigest()
        if found != md5:
            raise MnistError(f"has the MD5 checksum {found}, and the official file has {md5}")
        return data
    except MnistError as error:
        fault = str(error)
    except FileNotFoundError:
        fault = "is missing"
    except EOFError:
        fault = "is a truncated gzip file"
    except (gzip.BadGzipFile, zlib.error) as error:
        fault = f"is not a sound gzip file ({error})"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    raise MnistError(f"{path} {fault}: put {MIRROR}{file.name}.gz in its place")


def _check_shape(data: bytes, shape: tuple[int, ...]) -> None:
    """Raise MnistError unless `data` is an IDX file of that shape, whole and no longer."""
    header = _header(shape)
    if len(data) < len(header):
        raise MnistError(f"is cut short after {len(data)} bytes")
    if data[:4] != header[:4]:
        start = data[:4].hex()
        raise MnistError(f"is not an IDX file: it starts with {start}, not {header[:4].hex()}")
    found: tuple[float, ...] = struct.unpack_from(f">{len(shape)}I", data, 4)
    if found == shape:  # by its header; now by its length
        found = ((len(data) - len(header)) / prod(shape[1:]), *shape[1:])
    if found != shape:
        raise MnistError(f"holds the wrong data: expected {_size(shape)} and found {_size(found)}")


def _header(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)  # 8 says bytes


def _size(shape: tuple[float, ...]) -> str:
    items = f"images of {shape[1]}x{shape[2]}" if shape[1:] else "labels"
    return f"{shape[0]:,.10g} {items}"
