"""Initialisation: the numbers that training starts from."""

import math

import numpy as np


def linear_parameters(
    generator: np.random.Generator, in_features: int, out_features: int
) -> tuple[np.ndarray, np.ndarray]:
    r"""Draw a Linear layer's weight and bias as `torch.nn.Linear` does by default.

    Each output sums `in_features` products. Were the weights of size 1, its spread would grow by
    sqrt(in_features) in every layer; a spread of order 1/sqrt(in_features) keeps it level.

    Symbols: k = 1 / sqrt(in_features).

        W_ij ~ Uniform(-k, k)        b_i ~ Uniform(-k, k)        Var = k^2 / 3

    Args:
        generator: source of randomness; the same state gives the same parameters.
        in_features: length of one input row, at least 1.
        out_features: length of one output row.

    Returns:
        weight (out_features, in_features) and bias (out_features,), float64.

    Raises:
        ValueError: if in_features is below 1, where k has no value.

    Divergence from torch: torch reaches the same k through `kaiming_uniform_(a=sqrt(5))`, and draws
    from its own generator, so the distribution agrees and the numbers do not.

    >>> weight, bias = linear_parameters(np.random.default_rng(0), in_features=4, out_features=3)
    >>> weight.shape, bias.shape, bool(abs(weight).max() <= 0.5)
    ((3, 4), (3,), True)

    Sources: LeCun, Bottou, Orr, Mueller, "Efficient BackProp" (1998), section 4.6; He, Zhang, Ren,
    Sun, "Delving Deep into Rectifiers" (2015), section 2.2.
    """
    if in_features < 1:
        raise ValueError(f"in_features must be at least 1, got {in_features}")
    k = 1 / math.sqrt(in_features)
    weight = generator.uniform(-k, k, size=(out_features, in_features))
    bias = generator.uniform(-k, k, size=(out_features,))
    return weight, bias
