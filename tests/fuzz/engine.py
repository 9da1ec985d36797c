"""The one border to atheris, which need not be installed for anything but a run of a target."""

import gc
import importlib
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

Target = Callable[[bytes], None]


def run(target: Target) -> None:
    """Fuzz `target` as the command line says (libFuzzer's flags); an exception that leaves it is a crash."""
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed here: pip install atheris")
    for function in _ours():
        atheris.instrument_func(function)
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


def _ours() -> list[FunctionType]:
    """Every Python function of the product that the target imported, methods and properties included."""
    return [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, FunctionType) and (thing.__module__ or "").startswith(("protocol", "dispatch_"))
    ]
