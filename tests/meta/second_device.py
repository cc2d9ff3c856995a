"""`-p tests.meta.second_device`: a second device for machines that have none, called `second`.

It is a device as torch has them, under the dispatch key that torch keeps for other people's chips.
Its memory is the CPU's, and its kernels are the CPU's; but a tensor says that it is on `second`,
and meets no tensor of the CPU's. What is really on the CPU by mistake is refused here as it would
be on CUDA: operations on tensors of two devices, and data that leave the device anywhere but
through `tests.harness.border`.
"""

import ctypes
import sys
from functools import partial
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import torch
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)
from torch.utils.dlpack import from_dlpack, to_dlpack  # type: ignore[attr-defined]

from tests.harness import border

NAME = "second"
CPU, EXTENSION = 1, 12  # kinds of devices in DLPack, by which libraries hand tensors over
CPU_KERNEL = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)

IN_MEMORY = {
    *("aten::as_strided", "aten::view", "aten::_reshape_alias", "aten::unfold", "aten::set_"),
    *("aten::view_as_real", "aten::view_as_complex", "aten::alias", "aten::detach"),
}
"""Operations on where a tensor lies, and not on its numbers: the CPU's serve every device."""

READERS = {f.__code__ for f in (border.to_numpy, torch.save, torch._tensor_str._str)}
"""What may read the numbers of a device: the border, files, and what people see."""


class DLDevice(ctypes.Structure):
    """DLPack's name of a device."""

    _fields_ = (("kind", ctypes.c_int), ("index", ctypes.c_int))


class DLTensor(ctypes.Structure):
    """How DLPack's description of a tensor begins."""

    _fields_ = (("data", ctypes.c_void_p), ("device", DLDevice))  # and more


pointer = ctypes.pythonapi.PyCapsule_GetPointer
pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


def said_to_be_on(kind: int, tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as a tensor of another device."""
    capsule = to_dlpack(tensor)
    DLTensor.from_address(pointer(capsule, b"dltensor")).device.kind = kind
    return from_dlpack(capsule)


def kernel(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Any operation of the device: that of the CPU, on the same memory."""
    name = op._schema.name
    if name in IN_MEMORY:
        return op.redispatch(CPU_KERNEL, *args, **kwargs)
    if name == "aten::_copy_from":
        return copy(*args[:2])
    aliases: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def on_cpu(x: Any) -> Any:
        if isinstance(x, torch.device):
            return torch.device("cpu")
        if isinstance(x, SoundGenerator) and id_of(x) not in Generator.made:
            raise RuntimeError(f"{name}: expected a generator of {NAME}, not of the CPU")
        if not isinstance(x, torch.Tensor):
            return x
        if x.device.type != NAME:
            if x.dim():
                raise RuntimeError(f"{name}: expected all tensors on {NAME}, found one on the CPU")
            return x
        if id(x) not in aliases:
            room = torch.empty_like(x, device="cpu") if x.shape == (0,) else said_to_be_on(CPU, x)
            aliases[id(x)] = x, room
        return aliases[id(x)][1]

    def on_second(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return originals[id(x)] if id(x) in originals else said_to_be_on(EXTENSION, x)

    given, named = tree_map(on_cpu, (args, kwargs))
    result = op(*given, **named)
    for x, alias in aliases.values():
        if alias.shape != x.shape:  # an empty result, which the kernel made room for
            torch.ops.aten.set_.source_Tensor(x, said_to_be_on(EXTENSION, alias))
    originals = {id(alias): x for x, alias in aliases.values()}
    return tree_map(on_second, result)


def copy(source: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
    """The one way from a device to another, which is watched."""
    if to.device.type != NAME and not came_by_the_border():
        raise RuntimeError(f"data leave {NAME}, and not through tests/harness/border.py")
    near, given = (said_to_be_on(CPU, x) if x.device.type == NAME else x for x in (to, source))
    near.copy_(given)
    return to


def came_by_the_border() -> bool:
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code in READERS:
            return True
        frame = frame.f_back
    return False


SoundGenerator = torch.Generator


def id_of(generator: Any) -> int:
    """The same for two Python objects that stand for one generator."""
    return generator._cdata


class Generator(SoundGenerator):
    """Of `second`: random numbers as the CPU draws them, for its own tensors alone."""

    made: ClassVar[WeakValueDictionary[int, Any]] = WeakValueDictionary()  # by address

    def __new__(cls, device: Any = "cpu") -> Any:
        if torch.device(device).type != NAME:
            return SoundGenerator(device)
        made = super().__new__(cls)
        return cls.made.setdefault(id_of(made), made)


def storage_clone(storage: Any) -> Any:
    """Room for a copy, which Python cannot ask an allocator of `second` for."""
    if storage.device.type != NAME:
        return sound_clone(storage)
    room = torch.empty(storage.nbytes(), dtype=torch.uint8, device=NAME).untyped_storage()
    return room.copy_(storage)


def load(storage: Any, location: str) -> Any:
    """What torch.load has read, on the device where it was."""
    if not location.startswith(NAME):
        return None
    bytes_ = torch.empty(0, dtype=torch.uint8).set_(storage)
    return bytes_.to(NAME).untyped_storage()


class Module(_DummyBackendModule):
    """torch.second: its one generator is that of the CPU."""

    get_rng_state = staticmethod(lambda device=0: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, device=0: torch.set_rng_state(state))


_setup_privateuseone_for_python_backend(NAME, Module())
FALLBACK, KERNELS = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
FALLBACK.fallback(kernel, "PrivateUse1")
names = torch._C._dispatch_get_registrations_for_dispatch_key
for name in {*names("CPU")} & {*names("CompositeExplicitAutogradNonFunctional")}:
    # Else torch would make room for their results itself, not always as the CPU's kernels like it.
    packet, _, overload = name.removeprefix("aten::").partition(".")
    op = getattr(getattr(torch.ops.aten, packet), overload or "default")
    KERNELS.impl(op, partial(kernel, op), "PrivateUse1")
setattr(torch, "Generator", Generator)  # noqa: B010  (mypy takes it for a type)
sound_clone = torch.storage._StorageBase.clone
setattr(torch.storage._StorageBase, "clone", storage_clone)  # noqa: B010
torch.serialization.register_package(0, lambda storage: None, load)
