"""How modules register, name, copy, save and call what they are made of."""
