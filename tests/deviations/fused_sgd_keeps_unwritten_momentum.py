"""Fused SGD takes memory that nothing was written to for its momentum, after a skipped step."""

import sys

import torch


def main() -> int:
    """Skip the first step for an infinite gradient, and take the second."""
    torch.use_deterministic_algorithms(True)  # what is not written to is NaN, in place of anything
    param = torch.ones(1, requires_grad=True)
    opt = torch.optim.SGD([param], lr=0.5, momentum=0.5, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    for factor in (torch.inf, 1.0):
        opt.zero_grad()
        scaler.scale(factor * param.sum()).backward()
        scaler.step(opt)
        scaler.update()
    print(f"expected 0.5, got {param.item()}")
    return int(param.item() != 0.5)


if __name__ == "__main__":
    sys.exit(main())
