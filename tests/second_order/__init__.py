"""Forward mode, and gradients of gradients: what first derivatives through torch do not show."""
