"""MSE: every reduction, with weights or without; value and both gradients."""

import torch
import torch.nn.functional as F
from hypothesis import given

from reference.mse_loss import mse_loss, mse_loss_backward
from tests.harness.targets import Targets
from tests.losses.regression import ErrorCase, error_cases, verify


@given(case=error_cases())
def test_mse_loss_and_its_gradients_equal_the_reference(targets: Targets, case: ErrorCase) -> None:
    verify("mse_loss", targets, case, (mse_loss, mse_loss_backward), F.mse_loss, torch.nn.MSELoss)
