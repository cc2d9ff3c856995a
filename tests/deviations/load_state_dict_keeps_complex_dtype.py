"""load_state_dict leaves the state of a complex parameter in the dtype in which it was saved."""

import sys

import torch


def main() -> int:
    """Load the state of a complex128 parameter for a complex64 one, and take a step."""
    old = torch.ones(1, dtype=torch.complex128, requires_grad=True)
    old.grad = torch.ones_like(old)
    saved = torch.optim.Adam([old], lr=0.5)
    saved.step()
    param = torch.ones(1, dtype=torch.complex64, requires_grad=True)
    param.grad = torch.ones_like(param)
    adam = torch.optim.Adam([param], lr=0.5)
    adam.load_state_dict(saved.state_dict())
    dtype = adam.state[param]["exp_avg"].dtype
    print(f"expected {param.dtype}, got {dtype}")
    try:
        adam.step()
    except RuntimeError as error:
        print(f"step() raises: {error}")
    return int(dtype != param.dtype)


if __name__ == "__main__":
    sys.exit(main())
