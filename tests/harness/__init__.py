"""How a verdict is reached.

    formats      the floating-point formats, and rounding to them
    rounding     arrays that carry a bound on their rounding error
    strategies   the cases that are drawn
    targets      where a case is run: device, dtype, implementation path
    verdict      compare, explain, record
    report       what is printed at the end

Nothing in here knows a particular layer or optimizer.
"""
