"""`python -m reference`: one training step, number by number, which adds up."""

import re

import numpy as np
import pytest

from reference import __main__ as board
from reference.adamw import adamw_step


def printed(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["reference", *arguments])
    board.main()
    return capsys.readouterr().out


def number(pattern, text):
    (found,) = re.findall(pattern, text)
    return float(found)


def test_the_step_is_printed_and_the_loss_falls(monkeypatch, capsys):
    text = printed(monkeypatch, capsys)
    before, after = (number(rf"loss {when} .* (\d\.\d+)\n", text) for when in ("before", "after"))
    assert after < before


def test_the_update_is_the_one_that_adamw_makes(monkeypatch, capsys):
    """Of the one weight that is written out: from the printed numbers, to their six digits."""
    text = printed(monkeypatch, capsys)
    patterns = r"\n  p = (\S+),", r"gradient .* = +(\S+)\n", r"new value .* = +(\S+)\n"
    p, g, new = (np.asarray(number(pattern, text)) for pattern in patterns)
    stepped, *_ = adamw_step(p, g, 0 * p, 0 * p, 1, lr=0.05, weight_decay=0.01)
    assert abs(stepped - new) <= 1e-5 * abs(new)


def test_the_graph_is_printed_for_graphviz(monkeypatch, capsys):
    text = printed(monkeypatch, capsys, "--dot")
    assert text.startswith("digraph {")
    assert len(re.findall(r"AccumulateGrad (W1|b1|W2|b2)", text)) == 4


def test_other_arguments_are_refused(monkeypatch):
    monkeypatch.setattr("sys.argv", ["reference", "--picture"])
    with pytest.raises(SystemExit, match=r"^usage: python -m reference \[--dot\]$"):
        board.main()
