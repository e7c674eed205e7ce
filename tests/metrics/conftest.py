"""The places in which caches are shown."""

import pytest

from tests.metrics.places import OpenTelemetry, Place, Prometheus


@pytest.fixture(params=[Prometheus, OpenTelemetry])
def place(request: pytest.FixtureRequest) -> Place:
    """An empty one of each kind."""
    made: Place = request.param()
    return made
