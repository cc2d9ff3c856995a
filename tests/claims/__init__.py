"""What people believe about training in PyTorch, and how a test says what is so.

`claim` declares a belief and its verdict, `plugin` collects what the tests have shown, `table`
prints it. `pytest -m claim` settles all of them; `-k G5` settles one.
"""
