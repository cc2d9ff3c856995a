"""BatchNorm's backward pass on the CPU reads a gradient with channels innermost as if outermost."""

import sys

import torch
import torch.nn.functional as F


def main() -> int:
    """Compare the gradients for one gradient of the output in two memory layouts."""
    input = torch.arange(6.0).reshape(1, 2, 1, 3).requires_grad_()
    output = F.batch_norm(input, torch.zeros(2), torch.zeros(2), eps=1.0)  # y = x
    grad_output = torch.tensor([[[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]])
    innermost = grad_output.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    (grad,) = torch.autograd.grad(output, input, innermost)
    print(f"expected {grad_output.flatten().tolist()}, got {grad.flatten().tolist()}")
    print(f"strides of the gradient: {innermost.stride()}")
    return int(not torch.equal(grad, grad_output))


if __name__ == "__main__":
    sys.exit(main())
