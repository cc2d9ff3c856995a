"""Gradient clipping: what is cut, by how much, and when."""
