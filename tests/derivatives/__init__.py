"""Forward mode, and gradients of gradients."""
