"""Tables for the terminal and for pages."""

from tests.meta.tables import aligned, command, markdown

LINES = [("output", "tried"), ("loss", "7"), ("grad_input", "1,000")]


def test_numbers_are_at_the_right() -> None:
    assert markdown(LINES, words=1).splitlines()[:2] == ["| output | tried |", "| --- | ---: |"]
    assert list(aligned(LINES, words=1)) == [
        "output      tried",
        "loss            7",
        "grad_input  1,000",
    ]


def test_a_command_is_shown_without_the_paths_of_one_machine() -> None:
    words = ["--threads", "2", "--python", "/a/python", "--log", "/b", "--python", "/c/python"]
    shown = "python -m soak --threads 2 --python PATH --python PATH"
    assert command("soak", words) == shown
