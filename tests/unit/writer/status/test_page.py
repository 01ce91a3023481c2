"""The status page over HTTP: what is sent, and with which headers."""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import pytest

from local.paths import ROOT
from tests.support.fake_clock import FakeClock
from tests.support.status_scenes import SCENES, Scene, steady
from writer.status.page import assembled, routes
from writer.status.server import serve
from writer.status.window import SLOTS
from writer.telemetry.health import Dependency, Health, TableWait
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse

HOST = "127.0.0.1"


@pytest.fixture
async def server(caplog: pytest.LogCaptureFixture) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the status server of a writer that has lived a while."""
    caplog.set_level("INFO")
    async with serve(HOST, 0, Health(FakeClock()), routes(steady().page, {"status.example.com"})):
        (line,) = [record for record in caplog.records if record.message == "status server listening"]
        async with aiohttp.ClientSession(f"http://{HOST}:{vars(line)['port']}") as session:
            yield session


def is_private(answer: ClientResponse) -> bool:
    """No cache keeps it, and no browser guesses its type."""
    return (
        answer.headers["Cache-Control"] == "no-store"
        and answer.headers["X-Content-Type-Options"] == "nosniff"
        and answer.headers["Referrer-Policy"] == "no-referrer"
    )


async def test_the_page_is_one_response(server: aiohttp.ClientSession) -> None:
    """Everything is in it; it refers only to the figures and the probe."""
    async with server.get("/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert is_private(answer)
        text = await answer.text()
    assert text.startswith("<!doctype html>")
    assert set(re.findall(r"""https?://[^"'\s]*""", text)) == {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"""(?:src|href)=["']([^"':]*)""", text)) == {"data", "readyz", "status.json"}
    assert "<noscript>" in text
    assert "{{" not in re.sub(r"(?s)<script>.*</script>", "", text)


def test_the_browser_is_told_to_run_nothing_else() -> None:
    """The hashes are those of the style and the script in the page; nothing else is allowed."""
    text, headers = assembled()
    policy = dict(directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; "))
    for kind in ("style", "script"):
        (content,) = re.findall(f"(?s)<{kind}>(.*?)</{kind}>", text)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert "unsafe" not in str(policy)
    assert not re.search(r"\son\w+=|\sstyle=", text.split("<script>")[0])


async def test_it_is_read_only(server: aiohttp.ClientSession) -> None:
    """GET and HEAD; everything else is refused, or not there."""
    for path in ("/", "/status.json"):
        async with server.head(path) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        for method in ("POST", "PUT", "DELETE"):
            async with server.request(method, path) as answer:
                assert answer.status == 405
    for path in ("/page.js", "/../pyproject.toml", "/favicon.ico"):
        async with server.get(path) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("path", ["/", "/status.json"])
async def test_a_name_of_somebody_else_opens_nothing(server: aiohttp.ClientSession, path: str) -> None:
    """A page elsewhere whose name leads here ("DNS rebinding") reads neither page nor figures."""
    async with server.get(path, headers={"Host": "evil.example"}) as answer:
        assert (answer.status, is_private(answer)) == (421, True)
        assert "STATUS_NAMES" in await answer.text()
    async with server.get(path, headers={"Host": "status.example.com:8080"}) as answer:
        assert answer.status == 200


async def test_probes_answer_whatever_they_are_called(server: aiohttp.ClientSession) -> None:
    """A load balancer calls us by a name of its own, and must not end a writer for that."""
    for path in ("/healthz", "/readyz"):
        async with server.get(path, headers={"Host": "any.example"}) as answer:
            assert answer.status in (200, 503)


async def test_the_figures(server: aiohttp.ClientSession) -> None:
    """Their format has a version, and every series has a figure for each slot."""
    async with server.get("/status.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert is_private(answer)
        figures = await answer.json()
    assert figures["v"] == 1
    assert {len(values) for values in figures["series"].values()} == {SLOTS}
    assert figures["state"]["kind"] == "replicating"
    assert [row["table"] for row in figures["tables"]] == ["customers", "events-2020", "orders", "sessions"]
    assert [(each["cause"], each["count"]) for each in figures["troubles"]] == [
        ("mongodb", 15),
        ("bad-conversion", 1),
    ]
    (outage,) = figures["outages"]
    assert (outage["part"], outage["until"] - outage["since"]) == ("MongoDB", 75)


def told(scene: Scene) -> dict[str, Any]:
    """The figures as a browser gets them."""
    figures: dict[str, Any] = orjson.loads(orjson.dumps(scene.page.figures()))
    return figures


@pytest.mark.parametrize("name", sorted(SCENES))
def test_what_is_not_known_is_null(name: str) -> None:
    """No figure is invented, and none breaks the JSON."""
    figures = told(SCENES[name]())
    assert (figures["backlog"] is None) == (name == "just_started")
    assert (figures["lag_seconds"] is None) == (name == "just_started")


def test_times_are_those_of_the_wall() -> None:
    """Whatever the monotonic clock shows."""
    scene = steady()
    now = scene.clock.now()
    scene.clock.time += 3
    scene.history.backlog(Backlog(1, 2, 3))
    scene.clock.time += 4
    figures = told(scene)
    assert (figures["now"], figures["started"]) == (now + 7, now - 1655)
    assert figures["backlog"] == {"waiting": 1, "in_flight": 2, "dead_letters": 3, "at": now + 3}


def test_outages_leave_with_the_window() -> None:
    """A lasting outage has no end; one that ended a quarter of an hour ago is gone; starting is none."""
    assert told(SCENES["catching_up"]())["outages"] == []
    scene = steady()
    scene.health.lost(Dependency.SQS, "503")
    assert [(each["part"], each["until"] is None) for each in told(scene)["outages"]] == [
        ("MongoDB", False),
        ("SQS", True),
    ]
    scene.clock.time += 900
    assert [each["part"] for each in told(scene)["outages"]] == ["SQS"]


def test_a_table_that_waits_is_told() -> None:
    """By its name, with the reason, and that the others go on."""
    scene = steady()
    scene.health.refused(("", "people"), TableWait("people", "13", "no right on db.people", 1.0))
    state = told(scene)["state"]
    assert (state["kind"], state["title"], state["since"]) == ("waiting", "Waiting for table people", 1.0)
    assert state["words"].startswith("no right on db.people; other tables continue.")


def test_stopping_is_told() -> None:
    """While what is in hand is finished."""
    scene = steady()
    scene.stopping = True
    assert told(scene)["state"]["kind"] == "draining"


def test_installations_have_the_page() -> None:
    """Its files are no modules: setuptools includes them because they are listed."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    installed = {
        file
        for pattern in setuptools["package-data"]["writer.status"]
        for file in (ROOT / "writer" / "status").glob(pattern)
    }
    assert set((ROOT / "writer" / "status" / "assets").iterdir()) == installed
