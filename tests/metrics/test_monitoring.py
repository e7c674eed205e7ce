"""The dashboard and the alerts ask for what is there: figures that are exported, by labels that they have.

Where `prometheus` and `promtool` are installed (Debian's package `prometheus`), they say so themselves.
"""

import dataclasses
import itertools
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry, start_http_server

from harness.ports import free_port
from lru_cache import LRUCache, LRUCacheDistributed, Peer, metrics
from lru_cache.metrics.figures import FIGURES
from lru_cache.metrics.to_prometheus import family
from tests.concurrency import eventually

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
ALERTS = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
FOR_WHO_CHANGES_THE_RULES = {"lru_cache_prunes_total", "lru_cache_grafts_total"}  # and not for who runs a service
OF_PROMETHEUS = {"job", "instance"}  # labels that each scrape adds


class Expression(NamedTuple):
    """What a panel or a rule asks Prometheus."""

    where: str
    text: str

    def __str__(self) -> str:
        return self.where


def expressions() -> list[Expression]:
    """All of them."""
    return [*of_panels(), *(Expression(rule["alert"], rule["expr"]) for rule in ALERTS)]


def of_panels() -> Iterator[Expression]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield Expression(f"{panel['title']} {target['refId']}", target["expr"])


def exported() -> dict[str, set[str]]:
    """The name of each sample, with the labels that it has."""
    found = {}
    for figure in FIGURES:
        shown = family(figure, ("cache",))
        name = f"{shown.name}_total" if shown.type == "counter" else shown.name
        found[name] = {"cache", *figure.labels}
    return found


EXPORTED = exported()


@pytest.mark.parametrize("expression", expressions(), ids=str)
def test_what_is_asked_for_is_exported(expression: Expression) -> None:
    names = re.findall(r"\blru_cache_\w+", expression.text)
    assert names
    assert set(names) <= set(EXPORTED)


@pytest.mark.parametrize("expression", expressions(), ids=str)
def test_labels_that_are_asked_for_are_those_that_the_figure_has(expression: Expression) -> None:
    grouped = {label.strip() for each in re.findall(r"\bby \(([^)]*)\)", expression.text) for label in each.split(",")}
    for name, selected in re.findall(r"\b(lru_cache_\w+)(?:\{([^}]*)\})?", expression.text):
        asked = set(re.findall(r"(\w+)\s*[=!]~?\s*\"", selected)) | grouped
        assert asked <= EXPORTED[name] | OF_PROMETHEUS


def test_every_figure_is_on_the_dashboard_or_in_an_alert() -> None:
    """Who adds one decides where people see it."""
    shown = {name for each in expressions() for name in re.findall(r"\blru_cache_\w+", each.text)}
    assert set(EXPORTED) - shown <= FOR_WHO_CHANGES_THE_RULES


def test_the_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["title"] for panel in PANELS}) == len({panel["id"] for panel in DASHBOARD["panels"]}) - 3
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert "$labels.cache" in rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


def test_every_alert_is_tried() -> None:
    tried = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    assert [rule["alert"] for rule in ALERTS] == [test["name"] for test in tried][:-1]


# -- with Prometheus itself ----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")
def test_promtool_agrees_with_the_alerts() -> None:
    run = subprocess.run(
        ["promtool", "test", "rules", "alerts_test.yml"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def prometheus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Prometheus that scrapes a local cache and two that are linked, each a second; its address."""
    registry = CollectorRegistry()
    with (
        LRUCacheDistributed[str, str](str, local_address=("127.0.0.1", 0), region="eu") as hub,
        LRUCacheDistributed[str, str](str, remote_address=hub.local_address, region="us") as other,
    ):
        local = LRUCache[str, str](str)
        assert hub.wait_connected(timeout=10)
        stats, peers = dataclasses.replace(other.stats(), log_lag=0.2), other.peers  # as of a cache on an engine
        monkeypatch.setattr(other, "stats", lambda: stats)
        engine = Peer(None, None, "redis://engine", "engine", "connected", None, 0.2, 0)
        monkeypatch.setattr(other, "peers", lambda: [*peers(), engine])
        for name, cache in (("hub", hub), ("other", other), ("local", local)):
            cache.get("a")
            cache.get("a")
            metrics.prometheus(cache, name, registry=registry)
        server: Any
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)  # type: ignore[misc]
        address = f"127.0.0.1:{free_port()}"
        target = {"targets": [f"127.0.0.1:{server.server_port}"]}
        (tmp_path / "prometheus.yml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(FOLDER / "alerts.yml")],
                    "scrape_configs": [{"job_name": "users", "static_configs": [target]}],
                }
            )
        )
        command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        log = (tmp_path / "log").open("w")
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait()
            log.close()
            server.shutdown()
            thread.join()
            server.server_close()


def asked(prometheus: str, expression: str) -> list[Any]:
    """What it answers; nothing while it is not up yet."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answered:
            result: list[Any] = json.load(answered)["data"]["result"]
            return result
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise AssertionError(error.read().decode()) from None
    except (ConnectionError, urllib.error.URLError):
        pass
    return []


def filled_in(expression: str) -> str:
    """As Grafana asks, with all caches and processes chosen."""
    for variable, value in (("$cache", ".*"), ("$instance", ".*"), ("$__rate_interval", "1m")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="there is no Prometheus")
def test_each_expression_of_the_dashboard_has_data_in_a_prometheus_that_scrapes_caches(prometheus: str) -> None:
    eventually(lambda: asked(prometheus, "count_over_time(lru_cache_size[1m]) > 2"))
    assert [str(each) for each in of_panels() if not asked(prometheus, filled_in(each.text))] == []
