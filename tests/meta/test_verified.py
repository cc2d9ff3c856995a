"""What verifies torch is listed once, and completely."""

from tests.meta.faults.runs import REPOSITORY
from tests.meta.verified import DRAWN, VERIFIED

OTHERS = {"tests/meta", "tests/references", "tests/benchmarks"}


def test_every_folder_of_tests_is_listed() -> None:
    files = REPOSITORY.glob("tests/*/test_*.py")
    folders = {file.parent.relative_to(REPOSITORY).as_posix() for file in files}
    assert folders - OTHERS == set(VERIFIED)


def test_all_but_the_training_draw_their_cases() -> None:
    assert set(VERIFIED) - set(DRAWN) == {"tests/training"}
