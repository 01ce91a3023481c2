"""The status page in a real browser: a real writer with its outages, and scenes that would take long."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from local.pipeline.deployment import Deployment
from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from local.servers.mongod import Mongod
from tests.support.browser import Watched, chromium
from tests.support.builders import body_of, put
from tests.support.commands import replicator
from tests.support.status_scenes import DEAD, QUEUE, SCENES, Scene, steady
from tests.support.tools import need
from writer.telemetry.observer import Batch, Counted, Operation, Parked, Result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from local.stack import Stack
    from tests.conftest import Queues
    from tests.support.browser import Scheme


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For all tests here; they have no event loop of their own, which it would disturb."""
    need("chromium")
    with chromium() as running:
        yield running


@contextmanager
def opened(browser: Browser, scene: Scene) -> Iterator[Page]:
    """The page of a scene; at the end nothing was wrong with it."""
    with scene.served() as address:
        watched = Watched(browser, address)
        yield watched.open()
        watched.page.close()
        assert watched.wrong == []


def tile(page: Page, name: str) -> str:
    """The value below a name."""
    found = page.locator("#tiles > div", has=page.get_by_text(name, exact=True)).locator("dd.value")
    return found.inner_text()


class Traffic:
    """Changes of a table that arrive in the queue."""

    def __init__(self, stack: Stack, queues: Queues) -> None:
        self._sqs = stack.client("sqs")
        self._queues = queues
        self.sent = 0

    def send(self, number: int) -> None:
        """So many new items, made now."""
        for _ in range(number):
            self.sent += 1
            change = put(self.sent, self.sent)._replace(at=int(time.time()) * 1000)
            self._sqs.send_message(
                QueueUrl=self._queues.url,
                MessageBody=body_of(change),
                MessageGroupId=f"lane-{self.sent}",
                MessageDeduplicationId=str(self.sent),
            )


def applied(page: Page) -> int:
    """What the page says of the table."""
    row = page.locator("#tables tbody tr", has=page.get_by_role("rowheader", name="mytable"))
    return int(row.get_by_role("cell").first.inner_text()) if row.count() else 0


def wait_for_applied(page: Page, number: int) -> None:
    """Until the page says so."""
    page.wait_for_function(
        "number => document.querySelector('#tables tbody td')?.textContent === String(number)", arg=number
    )
    assert applied(page) == number


def shows_traffic(page: Page, traffic: Traffic) -> bool:
    """Whether the page says that changes come, while they do: it only tells of the last seconds."""
    traffic.send(1)
    return (
        page.locator("#title").inner_text() == "Replicating"
        and float(tile(page, "Throughput").split()[0]) > 0
        and bool(re.fullmatch(r"[\d.]+ m?s", tile(page, "Lag")))
    )


def test_traffic_an_outage_and_its_recovery(
    browser: Browser, stack: Stack, queues: Queues, database: str, tmp_path: Path
) -> None:
    """What a person sees of them, live, and still sees after reloading; and that a writer has ended."""
    deployment = Deployment("", queues.url, queues.dead_letter_url, function_name="")
    with Mongod(tmp_path) as mongod:
        mongod.wait()
        settings = {"MONGODB_URI": mongod.uri, "MONGODB_DATABASE": database}
        log = tmp_path / "log"
        with WriterProcess(stack, deployment, log=log, replication_file=None, settings=settings) as writer:
            writer.wait()
            watched = Watched(browser, f"{writer.status_url}/")
            page, title = watched.open(), watched.page.locator("#title")
            expect(title).to_have_text("Up to date")

            traffic = Traffic(stack, queues)
            traffic.send(20)
            wait_for_applied(page, 20)
            wait_until(lambda: shows_traffic(page, traffic), what="the page to show the traffic")
            wait_for_applied(page, traffic.sent)
            assert tile(page, "Dead letters") == "0"

            mongod.kill()
            traffic.send(5)
            expect(title).to_have_text("Waiting for MongoDB")
            since = re.compile(r"since \d\d:\d\d:\d\d [A-Z]\S+ \((\d+ min )?\d+ s\)")
            expect(page.locator("#since")).to_have_text(since)
            trouble = page.locator("#troubles li").first
            expect(trouble).to_contain_text("MongoDB does not answer")
            expect(trouble).to_contain_text("Bring it back within 14 days.")
            expect(page.locator("#outage-key")).to_be_visible()

            mongod.restart()
            wait_for_applied(page, traffic.sent)
            expect(title).to_have_text(re.compile("Replicating|Up to date"))

            page.reload()
            wait_for_applied(page, traffic.sent)
            expect(page.locator("#troubles li").first).to_contain_text("MongoDB does not answer")
            assert page.locator(".chart rect").count() == 6
            label = page.get_by_role("img", name="Throughput").get_attribute("aria-label")
            assert re.search(r"all changes: now .+, lowest .+, highest [1-9]", label or "")
            assert watched.wrong == []

            writer.kill()
            expect(title).to_have_text("Not reachable")
            page.close()


LOOKS: list[tuple[Scheme, int]] = [("light", 1200), ("dark", 360)]


@pytest.mark.parametrize(
    ("name", "title", "since"),
    [
        ("steady", "Replicating", ""),
        ("outage", "Waiting for MongoDB", "since 2020-09-13 12:55:00 UTC (2 min 15 s)"),
        ("catching_up", "Catching up", "done in about 2 min, at 2020-09-13 12:47:31 UTC"),
        ("just_started", "Starting", ""),
    ],
)
def test_everybody_can_see_the_state(browser: Browser, name: str, title: str, since: str) -> None:
    """Also for screen readers and in the tab; on a phone, in the dark; axe finds no problem, and all fits."""
    with opened(browser, SCENES[name]()) as page:
        expect(page.get_by_role("status")).to_have_text(title)
        expect(page).to_have_title(f"{title} · Replicator")
        expect(page.locator("#since")).to_have_text(since)
        for scheme, width in LOOKS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (int(re.findall(r"\d+", ground)[0]) < 100) == (scheme == "dark")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def test_names_are_text(browser: Browser) -> None:
    """A table's name comes from outside; whatever it is, it is shown and does nothing."""
    scene = steady()
    name = "<img src=x onerror=alert(1)>"
    counted = [Counted(name, Operation.PUT, Result.PARKED, 1)]
    scene.history.batch(Batch(1, 1, counted, parked=[Parked(name, "<b>code")]))
    with opened(browser, scene) as page:
        expect(page.get_by_role("rowheader", name=name)).to_be_visible()
        expect(page.locator("#troubles li").first).to_contain_text(f"dead letter <b>code of table {name}")
        assert page.locator("main img, main b:not(.legend b)").count() == 0


def test_a_moment_can_be_looked_at(browser: Browser) -> None:
    """With the keyboard or the pointer, in all charts at once."""
    with opened(browser, steady()) as page:
        waiting = page.locator(".chart", has_text="messages in the queue").locator("b").first
        moment, shown = page.get_by_label("Look at"), page.locator("#moment-time")
        now = waiting.inner_text()
        page.keyboard.press("Tab")
        expect(moment).to_be_focused()
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
        expect(shown).to_have_text("2020-09-13 13:10:40 UTC, 15 s ago")
        page.keyboard.press("End")
        expect(shown).to_have_text("now")
        plot = page.locator(".plot svg").first
        place = plot.evaluate("plot => plot.getBoundingClientRect().width") * 93.5 / 180
        plot.hover(position={"x": place, "y": 5})
        expect(shown).to_have_text("2020-09-13 13:03:45 UTC, 7 min 10 s ago")
        assert int(waiting.inner_text().replace(",", "")) > 1000
        page.mouse.move(0, 0)
        expect(shown).to_have_text("now")
        assert waiting.inner_text() == now


def test_tiles_and_charts_agree_on_now(browser: Browser) -> None:
    """Throughput, lag and backlog are the same figures in both places."""
    scene = steady()
    scene.passes(7)
    with opened(browser, scene) as page:
        charts = page.locator(".chart")
        for name, first in (("Throughput", "all changes"), ("Lag", "oldest"), ("Backlog", "waiting")):
            chart = charts.filter(has=page.get_by_role("heading", name=name))
            shown = chart.locator("li", has_text=first).locator("b").inner_text()
            label = chart.get_by_role("img").get_attribute("aria-label") or ""
            assert tile(page, name).split(" changes/s")[0].split(" messages")[0] == shown
            assert f"{first}: now {shown}, " in label


def test_commands_have_the_queues(browser: Browser) -> None:
    """They work as they are printed: nothing has to be filled in. `replicator` takes every option of them."""
    scene = steady()
    with opened(browser, scene) as page:
        commands = page.locator(".command code").all_inner_texts()
    queues = f"--queue-url {QUEUE} --dead-letter-queue-url {DEAD}"
    assert commands == [
        f"replicator dlq redrive --code bad-conversion {queues}",
        f"replicator dlq list {queues}",
    ]
    for command in commands:
        assert replicator(*command.split()[1:], "--help").status == 0


def test_a_process_without_a_queue_speaks_of_none(browser: Browser) -> None:
    """Its messages are in memory, its dead letters in MongoDB, and what it waits for is DynamoDB."""
    with opened(browser, SCENES["follow"]()) as page:
        expect(page.get_by_role("status")).to_have_text("Waiting for DynamoDB")
        expect(page.locator("#outage-key")).to_contain_text("waiting for DynamoDB or MongoDB")
        assert page.locator(".command code").all_inner_texts() == [
            "replicator dlq redrive --code bad-conversion --mongodb",
            "replicator dlq list --mongodb",
        ]
        assert not re.search("SQS|queue|writer", page.locator("body").inner_text())
        assert "replicator follow 0.2.0" in page.locator("#writer").inner_text()
        assert Axe().run(page).violations_count == 0
