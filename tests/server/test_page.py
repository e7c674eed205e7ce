"""The page: what it is allowed to do, and what it shows, in a real browser."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_port
from lru_cache.server import page
from lru_cache.server.app import Settings
from tests.server.browser import Browser
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]


def linked(start_node: StartNode) -> tuple[ThreadNode, ThreadNode]:
    """One that listens, and one that has dialled it."""
    listening = start_node(local_address=("127.0.0.1", 0))
    dialling = start_node(remote_address=listening.cache.local_address)
    assert dialling.cache.wait_connected(timeout=10)
    return listening, dialling


EVIL = "<script>document.title = 'stolen'</script><img src=x onerror=\"document.title = 'stolen'\">"


# -- without a browser -------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_outside() -> None:
    content = page.read_page()[0].decode()
    addresses = set(re.findall(r"https?://[^\s\"'`)]*", content))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"<script[^>]|@import|<iframe|src=|url\(", content.replace("<script>", ""))


def test_nothing_but_the_page_s_own_script_may_run(node: ThreadNode) -> None:
    answer = node.ask("GET", "/")
    (script,) = re.findall(rb"<script>(.*?)</script>", answer.body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    policy = dict(part.split(None, 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["script-src"] == f"'sha256-{digest}'"
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_the_page_never_makes_markup_of_text() -> None:
    content = page.read_page()[0].decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", content)


# -- in a browser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    chromium.open("about:blank")
    chromium.logged.clear()
    return chromium


def url(node: Any) -> str:
    return f"http://127.0.0.1:{node.port}/"


def is_live(browser: Browser) -> None:
    browser.wait_for("document.querySelector('#status')?.innerText.includes('live')")


def test_a_node_that_stops_and_comes_back_is_seen(
    browser: Browser, start_process: Callable[..., Any], tmp_path: Path
) -> None:
    """Three nodes as processes. The others dial the first, and the second dials the third."""
    port = free_port()
    third_port = free_port()
    third_options = ("--port", 0, "--listen", f"127.0.0.1:{third_port}", "--region", "ap-south")
    first = start_process("--port", 0, "--listen", f"127.0.0.1:{port}", "--region", "eu-west")
    second = start_process("--port", 0, "--join", f"127.0.0.1:{port}", f"127.0.0.1:{third_port}", "--region", "us-east")
    third = start_process(*third_options, "--join", f"127.0.0.1:{port}")
    browser.open(url(first))
    for region in ("us-east", "ap-south"):
        browser.wait_for(f"document.querySelector('[data-region={region}][data-state=connected]')")

    browser.open(url(second))  # it may have dialled the third before that was there, and tries again
    browser.wait_for("document.querySelector('[data-region=ap-south][data-state=connected]')")
    browser.open(url(first))
    browser.wait_for("document.querySelector('[data-region=ap-south][data-state=connected]')")

    third.end()
    browser.wait_for("document.querySelector('[data-region=ap-south][data-state=gone]')")
    assert "left" in browser.text("#happenings")
    assert browser.evaluate("document.querySelectorAll('#network .link.bad').length") == 1
    browser.open(url(second))
    browser.wait_for("document.querySelector('[data-region=ap-south][data-state=unreachable]')")
    browser.open(url(first))

    third = start_process(*third_options, "--join", f"127.0.0.1:{port}")
    browser.wait_for("document.querySelector('[data-region=ap-south][data-state=connected]')")
    browser.wait_for("!document.querySelector('[data-state=gone]')")
    assert browser.evaluate("document.querySelectorAll('#peers tr').length") == 2
    browser.open(url(second))
    browser.wait_for("document.querySelector('[data-region=ap-south][data-state=connected]')")
    assert browser.logged == []


def test_the_charts_move(browser: Browser, start_node: StartNode) -> None:
    node = start_node(maximum_capacity=10)
    browser.open(url(node))
    is_live(browser)

    def work() -> None:
        for number in range(1_000):
            node.cache.get(number, load=str)
            node.cache.get(number)

    names = ("hits", "misses", "loads", "evictions")
    moved = " && ".join(f"parseFloat(document.querySelector('#rate-{name}').innerText) > 0" for name in names)
    for _ in range(100):
        work()
        if browser.evaluate(moved):
            break
    drawn = "document.querySelectorAll('.figure:not([hidden]) path.curve').length"
    browser.wait_for(f"{drawn} === 6")  # it has no neighbours, so there is nothing to say of them
    assert "10 of 10" in browser.text("#held")


@pytest.mark.parametrize("key", [EVIL, "a/b", "ключ %25 ?#", "x y"])
def test_any_key_can_be_looked_up_and_is_shown_as_it_is(browser: Browser, start_node: StartNode, key: str) -> None:
    node = start_node(Settings(show_values=True))
    node.cache.set(key, f"the value of {key}")
    browser.open(url(node))
    is_live(browser)
    browser.fill_in("#key", key)
    browser.wait_for("document.querySelector('#found dd')")
    assert f"the value of {key}" in browser.text("#found")
    assert browser.evaluate("document.title") == "cache node"
    assert browser.evaluate("document.querySelectorAll('#found script, #found img').length") == 0


@pytest.mark.parametrize(
    ("value", "shown"), [([1, {"a": EVIL}], json.dumps([1, {"a": EVIL}], separators=(",", ":"))), (b"\xff", "null, or")]
)
def test_a_value_that_is_no_text_is_shown_as_json(
    browser: Browser, start_node: StartNode, value: Any, shown: str
) -> None:
    node = start_node(Settings(codecs=(), show_values=True))
    node.cache.set("a", value)
    browser.open(url(node))
    is_live(browser)
    browser.fill_in("#key", "a")
    browser.wait_for("document.querySelector('#found dd')")
    assert shown in browser.text("#found")
    assert browser.evaluate("document.title") == "cache node"


def test_a_key_that_is_not_held_is_said(browser: Browser, start_node: StartNode) -> None:
    browser.open(url(start_node()))
    is_live(browser)
    browser.fill_in("#key", EVIL)
    browser.wait_for("document.querySelector('#found dd')")
    assert browser.text("#found").strip() == "the key was not found"


def test_values_are_not_shown_unless_the_node_may(browser: Browser, start_node: StartNode) -> None:
    node = start_node()
    node.cache.set("a", "hush-hush")
    browser.open(url(node))
    is_live(browser)
    browser.fill_in("#key", "a")
    browser.wait_for("document.querySelector('#found dd')")
    assert "--show-values" in browser.text("#found")
    assert "hush-hush" not in browser.evaluate("document.documentElement.outerHTML")


def test_names_from_the_network_are_shown_as_they_are(browser: Browser, start_node: StartNode) -> None:
    node = start_node(region=f"here {EVIL}", local_address=("127.0.0.1", 0))
    other = start_node(region=f"there {EVIL}", remote_address=node.cache.local_address)
    assert other.cache.wait_connected(timeout=10)
    browser.open(url(node))
    browser.wait_for("document.querySelector('[data-state=connected]')")
    assert browser.text("#name") == f"here {EVIL}"
    assert f"there {EVIL}" in browser.text("#peers")
    assert "stolen" not in browser.evaluate("document.title").removeprefix(f"here {EVIL}")
    assert browser.evaluate("document.querySelectorAll('main script, main img, header img').length") == 0


def test_the_token_is_asked_for_and_used(browser: Browser, start_node: StartNode) -> None:
    node = start_node(Settings(token="open-sesame"))
    node.cache.set("a", "1")
    browser.open(url(node))
    browser.wait_for("!document.querySelector('#ask-token').hidden")
    assert browser.evaluate("document.querySelector('#main').hidden")
    browser.fill_in("#token", "wrong")
    browser.wait_for("document.querySelector('#token-note').innerText.includes('does not take')")
    browser.fill_in("#token", "open-sesame")
    is_live(browser)
    browser.fill_in("#key", "a")
    browser.wait_for("document.querySelector('#found dd')")
    assert "Characters" in browser.text("#found")


def test_a_node_that_does_not_answer_is_said_and_asked_again(
    browser: Browser, start_process: Callable[..., Any]
) -> None:
    port = free_port()
    first = start_process("--port", port)
    browser.open(url(first))
    is_live(browser)
    first.end()
    browser.wait_for("document.querySelector('#status').innerText.includes('no answer')")
    start_process("--port", port)
    is_live(browser)


def test_a_node_without_a_loader_has_charts_that_say_something(browser: Browser, start_node: StartNode) -> None:
    first, second = linked(start_node)
    browser.open(url(second))
    browser.wait_for("document.querySelector('[data-state=connected]')")
    titles = browser.evaluate(
        "[...document.querySelectorAll('#charts .figure:not([hidden]) h3')].map((e) => e.innerText)"
    )
    assert titles == [
        "Hits", "Misses", "Sets by HTTP", "Invalidations", "News from nodes", "News to nodes", "Bytes from nodes",
        "Bytes to nodes",
    ]  # fmt: skip
    for number in range(3):
        second.ask("POST", "/set", {"key": str(number), "val": "1"})
        first.ask("DELETE", f"/keys/{number}")
    for name in ("sets", "news_in", "news_out", "bytes_out"):
        browser.wait_for(f"!document.querySelector('#rate-{name}').nextElementSibling.innerText.endsWith('peak 0')")
    browser.wait_for("document.querySelector('#confirmed').innerText.includes('ms')")
    assert browser.logged == []


def test_a_node_with_nothing_to_say_alarms_nobody(browser: Browser, start_node: StartNode) -> None:
    """What was last known of it is a second or two old, since it tells that only now and then."""
    first, _ = linked(start_node)
    browser.open(url(first))
    browser.wait_for("document.querySelector('#peers')?.innerText.includes('in step')")
    assert browser.text("#missed") == "all reached"
    assert browser.evaluate("document.querySelectorAll('#main .bad').length") == 0


def test_nodes_behind_neighbours_are_shown_and_islands_are_red(browser: Browser, start_node: StartNode) -> None:
    hub = start_node(local_address=("127.0.0.1", 0))
    near, far = (start_node(remote_address=hub.cache.local_address) for _ in range(2))
    assert hub.cache.wait_connected(2, timeout=10)
    far.cache.set("a", "1")
    browser.open(url(near))
    browser.wait_for("document.querySelector('#network')?.textContent.includes('reached through neighbours')")
    assert far.cache.node[:8] in browser.evaluate("document.querySelector('#network').textContent")
    browser.evaluate("showNetwork({...latest, beyond: [{node: '0123456789', region: null, lag: 60}]})")
    assert browser.evaluate("document.querySelectorAll('#network .box.island').length") == 1


def test_who_listens_and_how_it_was_found_is_said(browser: Browser, start_node: StartNode) -> None:
    node, other = linked(start_node)
    browser.open(url(other))
    browser.wait_for("document.querySelector('[data-state=connected]')")
    browser.evaluate("document.querySelector('#links').open = true")
    cells = "Object.fromEntries([...document.querySelectorAll('#peers td')].map((e) => [e.dataset.label, e.innerText]))"
    shown = json.loads(browser.evaluate(f"JSON.stringify({cells})"))
    assert (shown["Role"], shown["Found"], shown["Hops"]) == ("listens", "given", "1")
    assert browser.text("#listens") == ""
    browser.open(url(node))
    browser.wait_for("document.querySelector('[data-state=connected]')")
    assert browser.text("#listens") == f"listens at 127.0.0.1:{node.cache.local_address[1]}"  # type: ignore[index]


@pytest.mark.parametrize("width", [390, 980, 1920])
def test_no_link_runs_through_what_is_said(browser: Browser, start_node: StartNode, width: int) -> None:
    """Every text of a neighbour stands within a box, and every link ends before one."""
    node = start_node(local_address=("127.0.0.1", 0))
    others = [start_node(region=f"region {n}", remote_address=node.cache.local_address) for n in range(3)]
    assert node.cache.wait_connected(len(others), timeout=10)
    browser.open(url(node), width)
    browser.wait_for("document.querySelectorAll('[data-state=connected]').length === 3")
    assert browser.evaluate(
        """(() => {
          const boxes = [...document.querySelectorAll('#network rect')].map((e) => e.getBBox());
          return [...document.querySelectorAll('#network text')].every((text) => {
            const {x, y, width, height} = text.getBBox();
            const around = (b) => b.x <= x && x + width <= b.x + b.width && b.y <= y && y + height <= b.y + b.height;
            return boxes.some(around);
          }) && [...document.querySelectorAll('#network path.link')].every((link) => {
            const end = link.getPointAtLength(link.getTotalLength());
            const within = (b) => b.x + 1 < end.x && end.x < b.x + b.width && b.y < end.y && end.y < b.y + b.height;
            return !boxes.some(within);
          });
        })()"""
    )


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1280, True)])
def test_nothing_is_wider_than_the_screen(browser: Browser, start_node: StartNode, width: int, dark: bool) -> None:
    node = start_node(region="r" * 60, local_address=("127.0.0.1", 0))
    other = start_node(region="a-region-with-a-long-name-" * 3, remote_address=node.cache.local_address)
    assert other.cache.wait_connected(timeout=10)
    browser.open(url(node), width, 800, dark)
    browser.wait_for("document.querySelector('[data-state=connected]')")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_is_dark_and_light_is_light(browser: Browser, node: ThreadNode) -> None:
    def brightness(dark: bool) -> int:
        browser.open(url(node), dark=dark)
        is_live(browser)
        colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    assert brightness(dark=True) < 150 < 600 < brightness(dark=False)
