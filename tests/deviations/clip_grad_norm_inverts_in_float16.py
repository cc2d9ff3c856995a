"""clip_grad_norm_ divides by a float16 norm by way of its inverse, which is beyond float16."""

import sys

import torch


def clipped(number: float, max_norm: float) -> float:
    param = torch.ones(1, dtype=torch.float16, requires_grad=True)
    param.grad = torch.tensor([number], dtype=torch.float16)
    torch.nn.utils.clip_grad_norm_(param, max_norm)
    return param.grad.item()


def main() -> int:
    """Clip a gradient of 0 to 0, and one of 1e-5 to 1e-6."""
    zero, tiny = clipped(0.0, 0.0), clipped(1e-5, 1e-6)
    print(f"0, clipped to 0: expected 0, got {zero}")
    print(f"1e-5, clipped to 1e-6: expected at most 2e-6, got {tiny}")
    return int(zero != 0 or tiny > 2e-6)


if __name__ == "__main__":
    sys.exit(main())
