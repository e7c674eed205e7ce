"""A service of Django on four workers of gunicorn: what one of them has changed in its cache, all others follow.

    gunicorn --workers 4 django_service:application

CACHES is all that there is to it; a service of several files has it in its settings. By itself this starts the server,
and drives it over HTTP. Needs `pip install 'cf_LRU_cache[django]' gunicorn`.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

# -- the service --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("DATA", "."))  # stands for a database

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "of an example"),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    CACHES={
        "default": {
            "BACKEND": "lru_cache.django.LRUCacheBackend",
            "LOCATION": os.environ.get("CLUSTER", "django-service"),
            "TIMEOUT": 3600,
        }
    },
)


def read(name):
    file = DATA / name
    return file.read_text() if file.exists() else None


def price(request, name):
    if request.method == "PUT":
        draft = DATA / f".{name}.{os.getpid()}"
        draft.write_text(request.body.decode())
        draft.replace(DATA / name)  # first the database
        cache.delete(name)
        if not cache.node.flush():  # only for who wants to know that all workers have heard of it
            return JsonResponse({}, status=503)
        return JsonResponse({"worker": os.getpid()})
    value = cache.get_or_set(name, lambda: read(name))
    return JsonResponse({"value": value, "worker": os.getpid()})


urlpatterns = [path("<name>", price)]
application = get_wsgi_application()

# -- what is shown ------------------------------------------------------------------------------------------------


@contextmanager
def served():
    """The service on a free port."""
    with socket.socket() as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        command = ["gunicorn", "django_service:application", "--workers", "4", "--log-level", "error"]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--bind", f"fd://{listener.fileno()}"],
            cwd=Path(__file__).parent,
            env={**os.environ, "DATA": folder, "CLUSTER": f"{folder}/cache.sock"},
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/price"
        finally:
            process.terminate()
            process.wait()


def ask(url, text=None):
    """Again, where a worker does not serve yet, or could not tell all others."""
    for _ in range(400):
        try:
            asked = urllib.request.Request(url, text and text.encode(), method="PUT" if text else "GET")
            with urllib.request.urlopen(asked, timeout=20) as answered:
                return json.load(answered)
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
    raise TimeoutError(url)


def main():
    with (
        served() as url,
        ThreadPoolExecutor(8) as readers,
    ):  # who asks one after another may always meet the same worker
        workers, old, changes = set(), 0, 0
        while changes < 20 or (len(workers) < 4 and changes < 2000):
            changes += 1
            ask(url, f"{changes} EUR")
            for answered in readers.map(ask, [url] * 8):
                if answered["worker"] in workers:
                    old += answered["value"] != f"{changes} EUR"
                workers.add(answered["worker"])
    print(f"{len(workers)} workers; each change was read right after it: {old} old values")


if __name__ == "__main__":
    main()
