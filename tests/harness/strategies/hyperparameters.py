"""Hyperparameters: the usual ones, exact ones, zero where it is legal, and any others.

The exact ones (multiples of a power of two) keep exact arrays exact, so that whole histories of SGD
are compared bit for bit.
"""

from hypothesis import strategies as st


def floats(least: float, most: float) -> st.SearchStrategy[float]:
    """Numbers of a range around 0, without the subnormal ones.

    Where the processor flushes these, Hypothesis refuses to draw any.
    """
    return st.floats(least, most, allow_subnormal=False)


learning_rates = st.sampled_from((0.5, 0.125, 1.0, 0.1, 0.01, 1e-3, 0.0)) | st.floats(1e-5, 1.0)
weight_decays = st.just(0.0) | st.sampled_from((0.25, 0.5, 0.1, 1e-2)) | st.floats(1e-6, 1.0)
momenta = st.sampled_from((0.0, 0.5, 0.9, 1.0)) | st.floats(1e-3, 1.0)
dampenings = st.sampled_from((0.0, 0.5, 0.1, 1.0)) | floats(0.0, 1.0)
betas = st.sampled_from((0.9, 0.999, 0.5, 0.0)) | floats(0.0, 0.9999)
epsilons = st.sampled_from((1e-8, 1e-3, 2.0**-10, 1.0, 0.0)) | st.floats(1e-8, 1.0)
