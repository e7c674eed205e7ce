"""A load of about 100 requests a second on the service, most of them for keys that there are.

With the service running: `locust -f locustfile.py`, or without a browser
`locust -f locustfile.py --headless --users 20 --spawn-rate 20 --run-time 20s`.
"""

import random
import sys
import uuid
from pathlib import Path

from locust import HttpUser, constant_throughput, task

sys.path.insert(0, str(Path(__file__).parent))

import generate

PAIRS = generate.pairs()
KEYS = list(PAIRS)


class Reader(HttpUser):
    """Asks five times a second."""

    host = "http://127.0.0.1:8080"
    wait_time = constant_throughput(5)

    @task(9)
    def known(self) -> None:
        key = random.choice(KEYS)
        with self.client.post("/get_value", json={"key": key}, catch_response=True) as answer:
            if answer.status_code != 200 or answer.json() != {"value": PAIRS[key]}:
                answer.failure(f"{key}: {answer.status_code} {answer.text}")

    @task(1)
    def unknown(self) -> None:
        with self.client.post("/get_value", json={"key": str(uuid.uuid4())}, catch_response=True) as answer:
            if answer.status_code == 404 and "message" in answer.json():
                answer.success()
            else:
                answer.failure(f"an unknown key: {answer.status_code} {answer.text}")
