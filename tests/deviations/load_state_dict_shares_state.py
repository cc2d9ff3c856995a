"""Two optimizers share their state after the state_dict of one was loaded into the other."""

import sys

import torch


def main() -> int:
    """Take a step with one, load its state into the other, and take a step with that."""
    wrong = False
    for name in ("SGD", "Adam", "AdamW"):
        options = {"momentum": 0.5} if name == "SGD" else {}
        params = [torch.ones(1, requires_grad=True) for _ in range(2)]
        one, other = (getattr(torch.optim, name)([p], lr=0.5, **options) for p in params)
        for param in params:
            param.grad = torch.ones(1)
        one.step()
        other.load_state_dict(one.state_dict())
        before = {key: value.clone() for key, value in one.state[params[0]].items()}
        other.step()
        for key, value in one.state[params[0]].items():
            print(f"{name}, {key} of the one: expected {before[key].item()}, got {value.item()}")
            wrong |= bool((value != before[key]).any())
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
