"""The devices whose lists of operations are known."""

from dataclasses import replace

from reference.autocast import IN_FLOAT32
from tests.harness.record import note
from tests.harness.targets import Targets


def with_lists(targets: Targets) -> Targets:
    """The same on those devices; of the others the report says that they are left out."""
    kinds = {device: device.partition(":")[0] for device in targets.devices}
    for device, kind in kinds.items():
        if kind not in IN_FLOAT32:
            note(f"autocast on {device}, whose lists are not in reference/autocast.py")
    return replace(targets, devices=tuple(d for d, kind in kinds.items() if kind in IN_FLOAT32))
