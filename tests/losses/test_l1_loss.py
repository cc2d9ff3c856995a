"""L1: every reduction, with weights or without; value and both gradients."""

import torch
import torch.nn.functional as F
from hypothesis import given

from reference.l1_loss import l1_loss, l1_loss_backward
from tests.harness.doors import SideDoor, side_doors
from tests.harness.targets import Targets
from tests.losses.regression import ErrorCase, error_cases, verify


@given(case=error_cases(), door=side_doors)
def test_l1_loss_and_its_gradients_equal_the_reference(
    targets: Targets, case: ErrorCase, door: SideDoor
) -> None:
    verify("l1_loss", targets, case, door, (l1_loss, l1_loss_backward), F.l1_loss, torch.nn.L1Loss)
