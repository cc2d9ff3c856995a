"""Initialisation: the numbers that training starts from."""

import math

import numpy as np

GAINS = {"sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4, "linear": 1.0} | {
    f"conv{kind}{dims}d": 1.0 for kind in ("", "_transpose") for dims in (1, 2, 3)
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""Give the factor that makes up for what an activation does to the scale of its inputs.

    ReLU sets half of the numbers to 0, and so halves their mean square: the weights before it are
    sqrt(2) larger. A leaky one keeps slope^2 of the other half.

        gain = sqrt(2 / (1 + slope^2))          leaky_relu
        gain = 1, 5/3, sqrt(2), 3/4             linear and sigmoid, tanh, relu, selu

    Args:
        nonlinearity: the activation's name, as in torch.nn.functional, or the layer's if none.
        param: the slope of leaky_relu, 0.01 where it is None. The others have no parameter.

    Returns:
        gain: without units.

    Raises:
        ValueError: if the activation is not one of these.

    >>> calculate_gain("tanh"), calculate_gain("leaky_relu", 1.0)
    (1.6666666666666667, 1.0)

    Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), section 2.2, for ReLU; the
    gains of tanh and selu are torch's, found by experiment.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"nonlinearity: {nonlinearity} is not one of leaky_relu, {', '.join(GAINS)}"
        )
    return GAINS[nonlinearity]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    r"""Count how many inputs an output sums up, and how many outputs an input goes into.

    Symbols: K the positions of a convolution's kernel, 1 for a Linear layer.

        fan_in = in_channels K        fan_out = out_channels K

    Args:
        shape: of a weight, (out_channels, in_channels, ...), followed by the kernel's sides.

    Returns:
        fan_in, fan_out.

    Raises:
        ValueError: if the weight has fewer than two dimensions.

    >>> fans((8, 3, 5, 5))
    (75, 200)
    """
    if len(shape) < 2:
        raise ValueError(f"shape: {shape} has no inputs and outputs, it needs two dimensions")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def xavier_std(shape: tuple[int, ...], gain: float = 1.0) -> float:
    r"""Give the spread of weights that keeps activations and gradients level, as far as both can.

    The forward pass would have std^2 = 1 / fan_in, the backward pass 1 / fan_out.

        std = gain sqrt(2 / (fan_in + fan_out))

    Uniform numbers of that spread lie between -sqrt(3) std and sqrt(3) std.

    Args:
        shape: of the weight.
        gain: see `calculate_gain`.

    Returns:
        std: the standard deviation.

    Raises:
        ValueError: as `fans`, or if both fans are 0.

    >>> xavier_std((6, 2)), xavier_std((6, 2), gain=2.0)
    (0.5, 1.0)

    Source: Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (2010), section 4.2.1.
    """
    fan_in, fan_out = fans(shape)
    if fan_in + fan_out == 0:
        raise ValueError(f"shape: a weight of shape {shape} has neither inputs nor outputs")
    return gain * math.sqrt(2 / (fan_in + fan_out))


def kaiming_std(
    shape: tuple[int, ...], a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> float:
    r"""Give the spread of weights that keeps one of the two passes level, activation included.

        std = gain / sqrt(fan)

    Args:
        shape: of the weight, without empty dimensions.
        a: the slope, where the activation is leaky_relu.
        mode: "fan_in" for the forward pass, "fan_out" for the backward pass.
        nonlinearity: see `calculate_gain`.

    Returns:
        std: the standard deviation; of uniform numbers see `xavier_std`.

    Raises:
        ValueError: as `fans` and `calculate_gain`; if the mode is neither, or the fan is 0.

    >>> kaiming_std((6, 8), a=1.0), kaiming_std((4, 8), mode="fan_out", nonlinearity="linear")
    (0.35355339059327373, 0.5)

    Source: He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015), section 2.2.
    """
    if mode not in {"fan_in", "fan_out"}:
        raise ValueError(f"mode must be fan_in or fan_out, got {mode}")
    fan = fans(shape)[mode == "fan_out"]
    if fan == 0:
        raise ValueError(f"shape: a weight of shape {shape} has a {mode} of 0")
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def dirac(shape: tuple[int, ...], groups: int = 1) -> np.ndarray:
    r"""Make a convolution that passes its input on, as many channels of it as there are.

    Output channel i of each group takes the middle of input channel i, and nothing else.

    Args:
        shape: (out_channels, in_channels / groups, ...), then one to three sides of the kernel.
        groups: into how many equal parts the channels fall.

    Returns:
        weight: zeros and ones, of that shape.

    Raises:
        ValueError: if the kernel has no side or more than three, or the groups are not equal.

    >>> dirac((2, 2, 3)).tolist()
    [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    if not 3 <= len(shape) <= 5:
        raise ValueError(f"shape: {shape} is no convolution's, which has 3 to 5 dimensions")
    if shape[0] % groups:
        raise ValueError(f"groups: {shape[0]} channels do not fall into {groups} equal parts")
    output, input, *positions = np.indices(shape)
    passes = output % max(1, shape[0] // groups) == input
    for position, side in zip(positions, shape[2:], strict=True):
        passes = passes & (position == side // 2)
    return np.where(passes, 1.0, 0.0)


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
