"""The folders that verify torch, as `tox.ini` lists them."""

from configparser import ConfigParser
from pathlib import Path

tox = ConfigParser(interpolation=None)
tox.read(Path(__file__).parents[2] / "tox.ini")
VERIFIED: list[str] = tox["verified"]["folders"].split()

DRAWN = [folder for folder in VERIFIED if folder != "tests/training"]
"""Those of which every seed draws other cases; an MNIST epoch is what it is."""
