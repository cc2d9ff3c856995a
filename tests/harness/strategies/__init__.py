"""The cases that are drawn: shapes, numbers, memory layouts, hyperparameters.

Hypothesis draws the structure; the bulk of the numbers comes densely from a few bytes, so that a
case is cheap to draw, has no two equal numbers by accident, and shrinks.
"""
