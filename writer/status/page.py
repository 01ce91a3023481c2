"""The status page: the page itself, and the figures that it fetches. Reads state, changes none.

Law: no document, no key, no secret. The page is one response that loads nothing else, and its headers tell
the browser so.

Sources: "Content Security Policy Level 3" (W3C), hashes of inline scripts and styles.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

import orjson
from aiohttp import web

from writer.ports import Clock
from writer.status.advice import CHANGES, TROUBLES, for_dead_letter
from writer.status.history import History, Incident, Kind, Row
from writer.status.hosts import is_known
from writer.status.state import Awaited, Situation, state_of
from writer.status.window import SLOTS, STEP
from writer.telemetry.health import STARTING, Dependency, Health
from writer.telemetry.observer import LONGEST_NAME, Facts

VERSION = 1
"""Version of the figures' format. Any release may change it: page and writer are one program."""

_PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_NOT_OURS = "This process does not accept this name. Use its address{}.\n"


class StatusPage:
    """What the page shows."""

    def __init__(
        self, history: History, health: Health, clock: Clock, facts: Facts, stopping: Callable[[], bool]
    ) -> None:
        self._history = history
        self._health = health
        self._clock = clock
        self._facts = facts
        self._stopping = stopping

    def figures(self) -> Mapping[str, Any]:
        """All that the page shows, as JSON; null: unknown. Times are seconds since the epoch."""
        history = self._history
        under_way = history.refresh()
        now, monotonic = self._clock.now(), self._clock.monotonic()
        ahead = now - monotonic
        changes, seconds = history.recent()
        latest = history.samples[-1] if history.samples else None
        series = {name: [_short(value) for value in values] for name, values in history.series().items()}
        return {
            "v": VERSION,
            "now": round(now, 3),
            "started": round(history.started + ahead, 3),
            "writer": asdict(self._facts),
            "parts": [each.known_as for each in self._health.dependencies],
            "has_queue": self.has_queue,
            "state": asdict(state_of(self._situation(monotonic, changes))),
            "lag_seconds": _short(history.lag()),
            "changes_per_second": _short(changes / seconds),
            "in_hand": history.messages_in_hand,
            "backlog": latest and {**asdict(latest.backlog), "at": round(latest.at + ahead, 3)},
            "slots": SLOTS,
            "step_seconds": STEP,
            "last_slot_seconds": _short(min(under_way, STEP)),
            "series": series,
            "outages": self._outages(now),
            "tables": self._tables(),
            "troubles": [
                _incident(each, ahead, has_queue=self.has_queue) for each in reversed(history.incidents)
            ],
        }

    def _situation(self, monotonic: float, changes: float) -> Situation:
        awaited = [
            Awaited(dependency.known_as, "" if wait.reason == STARTING else wait.reason, wait.since)
            for dependency, wait in self._health.waits.items()
        ]
        awaited += [
            Awaited(f"table {wait.table[:LONGEST_NAME]}", f"{wait.reason}; other tables continue", wait.since)
            for wait in self._health.tables.values()
        ]
        samples, in_hand = list(self._history.samples), self._history.messages_in_hand
        return Situation(monotonic, awaited, self._stopping(), samples, changes, in_hand, self.has_queue)

    @property
    def has_queue(self) -> bool:
        return Dependency.SQS in self._health.dependencies

    def _outages(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Those of the window; `until` is null while one lasts."""
        ended = [
            {"part": each.dependency.known_as, "since": round(each.since, 3), "until": round(each.until, 3)}
            for each in self._health.outages
            if now - each.until < SLOTS * STEP
        ]
        lasting = [
            {"part": dependency.known_as, "since": round(wait.since, 3), "until": None}
            for dependency, wait in self._health.waits.items()
            if wait.reason != STARTING
        ]
        return ended + lasting

    def _tables(self) -> Sequence[Mapping[str, Any]]:
        """By name; the last one, without a name, counts all that have no row of their own."""
        rows: list[tuple[str | None, Row]] = sorted(self._history.rows.items())
        rows.append((None, self._history.others))
        tables = []
        for name, row in rows:
            totals = row.totals()
            if name is not None or any(totals.values()):
                counts = {result.value: number for result, number in totals.items()}
                tables.append({"table": name, **counts, "lag_seconds": _short(row.lag)})
        return tables


def _incident(incident: Incident, ahead: float, *, has_queue: bool) -> Mapping[str, Any]:
    match incident.kind:
        case Kind.TROUBLE:
            advice = TROUBLES[incident.cause]
        case Kind.DEAD_LETTER:
            advice = for_dead_letter(incident.cause)
        case Kind.CHANGES:
            advice = CHANGES[incident.cause]
    if not has_queue:
        advice = advice.without_queue()
    return {
        "cause": incident.cause,
        "kind": incident.kind,
        "table": incident.table,
        "words": incident.words,
        "meaning": advice.meaning,
        "do": advice.do,
        "command": advice.command,
        "first": round(incident.first + ahead, 3),
        "last": round(incident.last + ahead, 3),
        "count": incident.count,
    }


def _short(value: float | None) -> float | None:
    """Few digits; an integer where it is one."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else round(value, 4)


def routes(page: StatusPage, names: Collection[str] = ()) -> Sequence[web.RouteDef]:
    """`/` and `/status.json`, for GET and HEAD, and only under a name of ours (`writer.status.hosts`).

    Probes and metrics answer whatever they are called: load balancers and scrapers use names that we cannot
    know, and a probe that fails for its name would end a writer that is well.
    """
    text, policy = assembled()
    not_ours = _NOT_OURS.format(", or set STATUS_NAMES" if page.has_queue else "")
    figures = {**_PRIVATE, "Content-Security-Policy": "default-src 'none'"}

    def check(request: web.Request) -> None:
        if not is_known(request.headers.getall("Host", ()), names):
            raise web.HTTPMisdirectedRequest(text=not_ours, headers=_PRIVATE)

    async def send_page(request: web.Request) -> web.Response:
        check(request)
        return web.Response(text=text, content_type="text/html", headers={**_PRIVATE, **policy})

    async def send_figures(request: web.Request) -> web.Response:
        check(request)
        body = orjson.dumps(page.figures())
        return web.Response(body=body, content_type="application/json", headers=figures)

    return [web.get("/", send_page), web.get("/status.json", send_figures)]


def assembled() -> tuple[str, Mapping[str, str]]:
    """The page, and the header that keeps browsers from running or loading anything else."""
    folder = resources.files("writer.status") / "assets"
    style, script, page = (
        (folder / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
    )
    policy = (
        "default-src 'none'",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    text = page.replace("{{style}}", style).replace("{{script}}", script)
    return text, {"Content-Security-Policy": "; ".join(policy)}


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
