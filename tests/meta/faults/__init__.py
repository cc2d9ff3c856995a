"""Link 4 of the chain of trust: faults put into torch, each of which the suite must find.

A component's faults are in the file of its name; importing the file enters them in the catalogue.
"""

from importlib import import_module
from pkgutil import iter_modules

for module in iter_modules(__path__, f"{__name__}."):
    if not module.name.endswith(("__main__", "preloaded")):
        import_module(module.name)
