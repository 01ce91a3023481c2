"""The status page: the page itself, and the figures that it asks for. Reads state, changes none.

Law: no document, no key, no secret. The page is one response that needs nothing from anywhere else, and says
so to the browser.

Sources: "Content Security Policy Level 3" (W3C), hashes of inline scripts and styles.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from writer.status.advice import for_dead_letter, for_trouble
from writer.status.state import Away, Situation, state_of
from writer.status.window import SLOTS, STEP
from writer.telemetry.health import STARTING, Dependency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from writer.ports import Clock
    from writer.status.history import Happened, History, Row
    from writer.telemetry.health import Health
    from writer.telemetry.observer import Facts

VERSION = 1
"""Of the figures' form. It can change with every version: page and writer are one program."""

_PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_NAMES = {Dependency.SQS: "SQS", Dependency.MONGODB: "MongoDB"}


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
        """All that the page shows, as JSON; null is what is not known. Times: seconds since the epoch."""
        history = self._history
        under_way = history.refresh()
        now, moment = self._clock.now(), self._clock.monotonic()
        ahead = now - moment
        changes, seconds = history.recent()
        latest = history.samples[-1] if history.samples else None
        series = {name: _rounded(values) for name, values in history.series().items()}
        return {
            "v": VERSION,
            "now": round(now, 3),
            "started": round(history.started + ahead, 3),
            "writer": {
                "version": self._facts.version,
                "pool_size": self._facts.pool_size,
                "loops": self._facts.loops,
            },
            "state": asdict(state_of(self._situation(moment, changes))),
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
            "troubles": [_told(each, ahead) for each in reversed(history.happened)],
        }

    def _situation(self, moment: float, changes: float) -> Situation:
        away = [
            Away(_NAMES[part], "" if wait.reason == STARTING else wait.reason, wait.since)
            for part, wait in self._health.waits.items()
        ]
        history = self._history
        return Situation(
            moment, away, self._stopping(), list(history.samples), changes, history.messages_in_hand
        )

    def _outages(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Those of the window; `until` is null while one lasts."""
        told = [
            {"part": _NAMES[each.part], "since": round(each.since, 3), "until": round(each.until, 3)}
            for each in self._health.outages
            if now - each.until < SLOTS * STEP
        ]
        lasting = [
            {"part": _NAMES[part], "since": round(wait.since, 3), "until": None}
            for part, wait in self._health.waits.items()
            if wait.reason != STARTING
        ]
        return told + lasting

    def _tables(self) -> Sequence[Mapping[str, Any]]:
        """By name; the last one, without a name, stands for all that have no row of their own."""
        rows: list[tuple[str | None, Row]] = sorted(self._history.rows.items())
        rows.append((None, self._history.others))
        told = []
        for name, row in rows:
            totals = row.totals()
            if name is not None or any(totals.values()):
                counts = {result.value: number for result, number in totals.items()}
                told.append({"table": name, **counts, "lag_seconds": _short(row.lag)})
        return told


def _told(happened: Happened, ahead: float) -> Mapping[str, Any]:
    is_letter = happened.table is not None
    advice = for_dead_letter(happened.cause) if is_letter else for_trouble(happened.cause)
    return {
        "cause": happened.cause,
        "dead_letter": is_letter,
        "table": happened.table,
        "words": happened.words,
        "meaning": advice.meaning,
        "do": advice.do,
        "first": round(happened.first + ahead, 3),
        "last": round(happened.last + ahead, 3),
        "count": happened.count,
    }


def _rounded(values: Sequence[float | None]) -> Sequence[float | None]:
    return [_short(value) for value in values]


def _short(value: float | None) -> float | None:
    """Few digits, and no fraction where there is none."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else round(value, 4)


def routes(page: StatusPage) -> Sequence[web.RouteDef]:
    """`/` and `/status.json`, for GET and HEAD."""
    text, policy = assembled()
    figures = {**_PRIVATE, "Content-Security-Policy": "default-src 'none'"}

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html", headers={**_PRIVATE, **policy})

    async def tell(_: web.Request) -> web.Response:
        body = orjson.dumps(page.figures())
        return web.Response(body=body, content_type="application/json", headers=figures)

    return [web.get("/", show), web.get("/status.json", tell)]


def assembled() -> tuple[str, Mapping[str, str]]:
    """The page, and the header by which browsers run and load nothing that does not stand in it."""
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
