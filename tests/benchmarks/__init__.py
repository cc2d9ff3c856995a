"""How long things take: `tox run -e bench`. Speed fails nothing, so no other environment asks."""
