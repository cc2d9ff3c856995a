"""Mixed precision: what runs in which dtype under autocast, and gradients that are scaled."""
