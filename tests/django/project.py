"""The example's project, as servers and workers take it that the example itself does not start; and its `manage.py`."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "examples"))

import django_service
from celery import Celery
from django.core.asgi import get_asgi_application
from django.core.cache import cache
from django.core.management import execute_from_command_line

wsgi = django_service.application
asgi = get_asgi_application()

FOLDER = Path(os.environ["DATA"]) / ".celery"
queue = Celery("project", broker="filesystem://", backend=f"file://{FOLDER / 'results'}")
queue.conf.update(
    broker_transport_options={
        f"{what}_folder{way}": str(FOLDER / f"{what}s") for what, way in (("data", "_in"), ("data", "_out"))
    }
    | {"control_folder": str(FOLDER / "control")},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
)
for folder in ("datas", "control", "results"):
    (FOLDER / folder).mkdir(parents=True, exist_ok=True)


@queue.task  # type: ignore[misc]
def price(name: str) -> tuple[str | None, int]:
    """What a task reads, and in which process."""
    return cache.get_or_set(name, lambda: django_service.read(name)), os.getpid()


if __name__ == "__main__":
    execute_from_command_line(sys.argv)
