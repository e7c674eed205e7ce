"""Modules that an extra brings: who needs one and lacks it is told what to install.

This file must not know what they are for.
"""

from importlib import import_module


def require(module: str, what: str, package: str, extra: str) -> None:
    """See to it that a module can be imported; ImportError, in one line, says what to install."""
    try:
        import_module(module)
    except ImportError as error:
        raise ImportError(f"{what} needs {package}: pip install 'cf_LRU_cache[{extra}]'") from error
