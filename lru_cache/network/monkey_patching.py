"""Where gevent has put its own in the place of threads and sockets, no links can be made. It must not import gevent."""

import sys

GEVENT = (
    "gevent's monkey patching has replaced threads or polling, which links need: use threads (gunicorn -k gthread), or "
    "patch_all(thread=False, select=False), or give no address"
)
_NEEDED = ("threading", "select")


def has_gevent() -> bool:
    """Whether it has patched what links need."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and any(monkey.is_module_patched(name) for name in _NEEDED)


def refuse_gevent() -> None:
    """Raise if it has."""
    if has_gevent():
        raise RuntimeError(GEVENT)
