"""Where pytest finds the command line of a run: the harness, and the MNIST option."""

pytest_plugins = ["tests.harness.plugin", "tests.training.plugin"]
