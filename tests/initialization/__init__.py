"""Where the first parameters come from."""
