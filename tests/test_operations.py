"""docs/operations.md is complete: every figure, every state and every log line that there is stands in it."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from lru_cache import DistributedStats, LRUCacheDistributed, Peer

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


@pytest.mark.parametrize(
    "field", [field.name for kind in (DistributedStats, Peer) for field in dataclasses.fields(kind)]
)
def test_every_figure_is_explained(field: str) -> None:
    assert re.search(rf"^\|[^|]*`{field}`", TEXT, re.MULTILINE)


def lines_logged() -> list[str]:
    """The text of every call that logs, as far as it stands in the call; placeholders are empty."""
    found = []
    for path in sorted((ROOT / "lru_cache").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS | {"_note"}
            ):
                found += [text for text in map(text_of, node.args) if " " in text]
    return found


def text_of(argument: ast.expr) -> str:
    """A literal's text, with a mark where something is filled in."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return re.sub(r"%\.?\d*[a-z]", "\0", argument.value)
    if isinstance(argument, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else "\0" for part in argument.values)
    if isinstance(argument, ast.BinOp):
        return text_of(argument.left)
    return ""


def test_there_are_lines_to_look_for() -> None:
    assert len(lines_logged()) > 12


@pytest.mark.parametrize("line", lines_logged(), ids=lambda line: line.replace("\0", "_")[:50])
def test_every_line_of_the_log_is_explained(line: str) -> None:
    first = next(part for part in re.split(r"\0|[;:(,]", line) if " " in part.strip()).strip()
    if "mistake of ours" in line:
        first = "because of a mistake of ours"
    elif first not in TEXT:  # numbers and names stand between the parts
        first = " ".join(first.split()[:4])
    assert first in TEXT


def test_the_manifests_are_yaml_and_name_each_other() -> None:
    kubernetes, compose = (list(yaml.safe_load_all(text)) for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
    service, deployment, policy = kubernetes
    assert [each["kind"] for each in kubernetes] == ["Service", "Deployment", "NetworkPolicy"]
    pods = deployment["spec"]["template"]
    (container,) = pods["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert f'local_address=("", {port}), remote_address="dns://{name}:{port}"' in TEXT
    assert (service["spec"]["clusterIP"], ports["cache"]) == ("None", port)
    assert container["env"][0]["name"] == "LRU_CACHE_SECRET"
    assert container["readinessProbe"]["httpGet"]["port"] in ports
    selectors = [service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]]
    assert [*selectors, policy["spec"]["podSelector"]["matchLabels"]] == [pods["metadata"]["labels"]] * 3
    assert compose[0]["services"]["shop"]["environment"] == {"LRU_CACHE_SECRET": "${LRU_CACHE_SECRET}"}


@pytest.mark.parametrize(
    ("one", "other", "linked"),
    [
        (["old"], ["old", "new"], True),
        (["old", "new"], ["new", "old"], True),
        (["new", "old"], ["new"], True),
        (["old"], ["new", "old"], False),
    ],
)
def test_secrets_are_changed_in_three_steps(one: list[str], other: list[str], linked: bool) -> None:
    """Each step has nodes of the one before beside it; the last of these pairs is the step that must not be skipped."""
    secrets = [[f"{secret}-and-long-enough" for secret in each] for each in (one, other)]
    with (
        LRUCacheDistributed(local_address=("127.0.0.1", 0), secret=secrets[0]) as server,
        LRUCacheDistributed(remote_address=server.local_address, secret=secrets[1]) as client,
    ):
        assert client.wait_connected(timeout=10 if linked else 0.5) is linked
