"""Numbers and tensors as Python source that gives them back to the last bit."""

import base64
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

INLINE = 256  # elements; more than these are packed, so that a script stays short
PACKED = """\
def unpack(text, dtype):
    return torch.frombuffer(bytearray(zlib.decompress(base64.b64decode(text))), dtype=dtype)
"""
AS_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
FORMATS_OF_MEMORY = {4: torch.channels_last, 5: torch.channels_last_3d}


def real(number: float, dtype: torch.dtype) -> str:
    """The shortest decimal that the dtype reads as this number; `inf` and `nan` by their names."""
    if math.isfinite(number):
        for digits in range(1, 17):
            text = repr(float(f"{number:.{digits}g}"))
            if torch.tensor(float(text), dtype=dtype).item() == number:
                return text
    return repr(number)


def nested(x: torch.Tensor) -> str:
    if x.dim():
        return f"[{', '.join(map(nested, x))}]"
    number = x.item()
    return real(number, x.dtype) if isinstance(number, float) else repr(number)


def numbers(x: torch.Tensor) -> str:
    """An expression for the same numbers, bit for bit, in a dense tensor on the same device."""
    x = x.detach().contiguous()
    given = f"dtype={x.dtype}" + (f", device={str(x.device)!r}" if x.device.type != "cpu" else "")
    x = x.cpu()
    if x.numel() == 0:
        return f"torch.empty({tuple(x.shape)}, {given})"
    if x.numel() > 8 and same_bits(x, x.flatten()[0].expand(x.shape)):
        return f"torch.full({tuple(x.shape)}, {nested(x.flatten()[0])}, {given})"
    if x.numel() > INLINE:
        packed = base64.b64encode(zlib.compress(as_bytes(x), 9)).decode()
        moved = f".to({str(x.device)!r})" if x.device.type != "cpu" else ""
        return f"unpack({packed!r}, {x.dtype}).reshape({tuple(x.shape)}){moved}"
    text = nested(x)
    read: torch.Tensor = eval(f"torch.tensor({text}, dtype={x.dtype})", dict(NAMES))
    if same_bits(x, read):
        return f"torch.tensor({text}, {given})"
    integers = AS_INTEGERS[x.element_size()]
    given = given.replace(str(x.dtype), str(integers))
    return f"torch.tensor({x.view(integers).tolist()}, {given}).view({x.dtype})"


NAMES: dict[str, Any] = {"torch": torch, "inf": math.inf, "nan": math.nan}


def as_bytes(x: torch.Tensor) -> bytes:
    return x.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def same_bits(x: torch.Tensor, y: torch.Tensor) -> bool:
    return (x.shape, x.dtype) == (y.shape, y.dtype) and as_bytes(x) == as_bytes(y)


@dataclass(eq=False)
class Leaf:
    """A tensor that no recorded call has made: its numbers, and how it lies in memory."""

    name: str
    memory: int  # an address: leaves in the same memory share it in the script, too
    content: torch.Tensor  # all of that memory, one-dimensional
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    end: str  # what makes it a parameter, or ask for a gradient

    @classmethod
    def of(cls, name: str, x: torch.Tensor) -> "Leaf":
        """Copies what the tensor holds now."""
        whole = torch.empty(0, dtype=x.dtype, device=x.device).set_(x.untyped_storage())
        if isinstance(x, torch.nn.Parameter):
            end = "parameter" if x.requires_grad else "frozen parameter"
        else:
            end = "requires_grad" if x.requires_grad else ""
        address = x.untyped_storage().data_ptr()
        offset = int(x.storage_offset())
        return cls(name, address, whole.clone(), tuple(x.shape), x.stride(), offset, end)

    @cached_property
    def dense(self) -> str:
        """All that memory, spelled once, however often the leaf is written down."""
        return numbers(self.content)

    def tensor(self) -> torch.Tensor:
        return self.content.as_strided(self.size, self.stride, self.offset)

    def define(self, memory: str | None) -> str:
        """A line that makes it: out of memory with a name, or by itself."""
        made = self.alone if memory is None else f"{memory}{self.strided}"
        return (
            f"{self.name} = "
            + {
                "": made,
                "requires_grad": f"{made}.requires_grad_()",
                "parameter": f"torch.nn.Parameter({made})",
                "frozen parameter": f"torch.nn.Parameter({made}, False)",
            }[self.end]
        )

    @property
    def strided(self) -> str:
        return f".as_strided({self.size}, {self.stride}, {self.offset})"

    @cached_property
    def alone(self) -> str:
        x = self.tensor()
        if x.numel() != self.content.numel():
            return f"{self.dense}{self.strided}"
        if x.is_contiguous():
            return numbers(x)
        innermost = FORMATS_OF_MEMORY.get(x.dim())
        if innermost is not None and x.is_contiguous(memory_format=innermost):
            return f"{numbers(x)}.contiguous(memory_format={innermost})"
        return f"{self.dense}{self.strided}"
