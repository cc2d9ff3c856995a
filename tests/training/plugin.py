"""Give tests the `mnist` fixture, and the command line `--mnist-root`."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.training.mnist import EMBEDDED, Mnist, MnistError, check, load


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --mnist-root."""
    parser.getgroup("backproof").addoption(
        "--mnist-root",
        metavar="DIR",
        default=os.environ.get("BACKPROOF_MNIST_ROOT") or None,
        help="folder that holds MNIST/raw (default: $BACKPROOF_MNIST_ROOT, else a download, "
        "else embedded digits)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """End the run at once where the folder that the user named does not hold MNIST."""
    if config.option.mnist_root is None:
        return
    # A ~ may still be there, and a test may change the directory. The methods of Path that do
    # the same raise where there is no such user and where links form a loop.
    root = Path(os.path.abspath(os.path.expanduser(config.option.mnist_root)))  # noqa: PTH100, PTH111
    config.option.mnist_root = root
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist: the process that started it has checked
    try:
        check(root)
    except MnistError as error:
        raise pytest.UsageError(f"--mnist-root or BACKPROOF_MNIST_ROOT: {error}") from None


@pytest.fixture(scope="session")
def mnist(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mnist:
    """MNIST, or the embedded digits in its place; then the summary of the run says so."""
    from tests.harness.record import note

    if find_spec("torchvision") is None:
        note("MNIST: torchvision, which reads it, is not installed")
        pytest.skip("torchvision is not installed")
    try:
        cache = request.config.cache.mkdir("mnist")
    except (AttributeError, OSError):  # -p no:cacheprovider, or a read-only checkout
        cache = tmp_path_factory.mktemp("mnist")
    try:
        data = load(request.config.option.mnist_root, cache)
    except MnistError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    if data.source == EMBEDDED:
        note(
            "MNIST was not used: it could not be downloaded, and embedded digits took its place; "
            "name a folder with --mnist-root"
        )
    return data
