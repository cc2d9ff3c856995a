"""Autocast: every operation in the dtype that suits it."""

IN_LOWER_PRECISION = {"linear"}
LOSSES = {"cross_entropy", "l1_loss", "mse_loss", "nll_loss"}
IN_FLOAT32 = {
    "cpu": LOSSES,
    "cuda": LOSSES | {"log_softmax", "softplus"},
    "xpu": LOSSES | {"log_softmax", "softplus"},
}


def autocast_dtype(operation: str, given: str, lower_precision: str, device: str = "cpu") -> str:
    r"""Name the dtype in which an operation runs under `torch.autocast`.

    Products of matrices are what takes time, and they lose little in half types: the errors of
    their many terms cancel. A loss adds small numbers to a large sum, or takes differences of what
    is nearly the same, and would lose everything. So the first run in the lower precision, the
    second in float32, and all the others in whatever they are given. The parameters stay in
    float32: a cast is an operation like any other, and its backward pass casts the gradient back.

    Symbols: D the dtype in which an operation runs, G the dtype of what it is given.

        D = the lower precision     for products of matrices
        D = float32                 for losses and the like
        D = G                       for all others, and wherever G is float64

    Args:
        operation: torch's name of it, such as "linear".
        given: G, torch's name of a dtype.
        lower_precision: "bfloat16" or "float16", as autocast was asked for.
        device: "cpu", "cuda" or "xpu"; the latter two have a longer list of operations in float32.

    Returns:
        D. The inputs are rounded to it; the gradients of the inputs are rounded back to G.

    Raises:
        ValueError: if lower_precision is no half type, or the device has no list here.

    Divergence from torch: it knows many more operations; here are those of this book. The lists of
    CUDA and XPU have cross_entropy in its two parts. torch's documentation calls XPU's experimental
    and leaves mse_loss and softplus out of it; its source has them. What MPS has is documented
    nowhere, and left out here.

    >>> autocast_dtype("linear", "float32", "bfloat16")
    'bfloat16'
    >>> autocast_dtype("mse_loss", "bfloat16", "bfloat16")
    'float32'

    Sources: Micikevicius et al., "Mixed Precision Training" (2018), section 3; the lists are those
    of torch's documentation, "Automatic Mixed Precision package".
    """
    if lower_precision not in {"bfloat16", "float16"}:
        raise ValueError(f"lower_precision must be bfloat16 or float16, got {lower_precision}")
    if device not in IN_FLOAT32:
        raise ValueError(f"device must be one of {', '.join(IN_FLOAT32)}, got {device}")
    if given == "float64":
        return given
    if operation in IN_LOWER_PRECISION:
        return lower_precision
    return "float32" if operation in IN_FLOAT32[device] else given
