"""Asks writers over HTTP how they are, all at once. Trusts nothing that answers.

Law: an answer is read for `SECONDS` in all and up to `MOST_BYTES`, however it comes; it is not followed
elsewhere and not unpacked. A writer is ready only if it says so.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops.status.facts import Figures, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import ClientSession

SECONDS = 5.0
"""For all that one writer is asked."""

MOST_BYTES = 1 << 20
_MOST_CHARACTERS = 200
"""Of a text that a writer tells."""
_OTHER_TABLES = "(others)"
_NO_WRITER = "something answers, but is not a writer"
_ODD_JSON = (RecursionError, OverflowError)
"""What reading JSON can raise besides `ValueError`: it is too deep, or a number is too large."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    error: str = ""


def ask_writers(urls: Iterable[str]) -> list[Writer]:
    """Asks the status server at each URL."""
    wanted = list(urls)
    return asyncio.run(_ask_all(wanted)) if wanted else []


async def _ask_all(urls: list[str]) -> list[Writer]:
    import aiohttp  # noqa: PLC0415 - a tenth of a second, for commands that ask no writer

    # Writers are in our network: a proxy of the environment is for others, and nothing is unpacked.
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        connector=aiohttp.TCPConnector(limit=0),  # all at once: none waits for another
        headers={"Accept-Encoding": "identity", "Connection": "close"},
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    ) as session:
        return list(await asyncio.gather(*(_ask(session, each) for each in urls)))


async def _ask(session: ClientSession, url: str) -> Writer:
    if urlsplit(url).scheme not in ("http", "https"):
        return Writer(url, "it is not an http:// URL")
    root = url.rstrip("/")
    ready, figures = await asyncio.gather(
        _get(session, f"{root}/readyz"), _get(session, f"{root}/status.json")
    )
    if ready.error:
        return Writer(url, ready.error)
    wrong = "" if ready.status == HTTPStatus.OK else f"HTTP status {ready.status}"
    return with_figures(writer_of(url, ready.body, wrong), figures.status, figures.body, figures.error)


async def _get(session: ClientSession, url: str) -> _Answer:
    """An answer, or why there is none."""
    import aiohttp  # noqa: PLC0415

    try:
        async with session.get(url, allow_redirects=False) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    return _Answer(answer.status, b"", _NO_WRITER)
            return _Answer(answer.status, bytes(body))
    except TimeoutError:
        return _Answer(0, b"", f"no complete answer within {SECONDS:g} s")
    except aiohttp.ClientConnectorError as error:
        return _Answer(0, b"", _words(error.os_error))
    except aiohttp.InvalidURL:
        return _Answer(0, b"", "it is not an http:// URL")
    except (OSError, ValueError) as error:
        return _Answer(0, b"", _words(error))
    except aiohttp.ClientError:
        return _Answer(0, b"", _NO_WRITER)


def _words(error: Exception) -> str:
    """Why a connection failed, in the system's words."""
    code = getattr(error, "errno", None)
    if isinstance(code, int) and code > 0:
        return os.strerror(code)
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def writer_of(url: str, body: bytes, error: str = "") -> Writer:
    """Reads the answer to `/readyz`. A writer is ready only if it says so.

    Args:
        url: the writer's.
        body: what it answers.
        error: what is wrong if the body does not say what the writer waits for.
    """
    try:
        content = json.loads(body)
        waits = _waits(content["waiting_for"])
        tables = _waits(content.get("tables", {}))  # which writers of an older version do not have
        waits |= {f"table {name}": wait for name, wait in tables.items()}
        is_ready = content["status"] == "ready"
    except (ValueError, LookupError, TypeError, AttributeError, *_ODD_JSON):
        return Writer(url, error or _NO_WRITER)
    if waits:
        return Writer(url, "", waits)
    return Writer(url, error or ("" if is_ready else _NO_WRITER))


def with_figures(writer: Writer, status: int, body: bytes, error: str = "") -> Writer:
    """Adds what `/status.json` answers to a writer that answers."""
    if writer.error:
        return writer
    figures, why = None, error
    if not error and status != HTTPStatus.OK:
        misdirected = status == HTTPStatus.MISDIRECTED_REQUEST
        why = "it does not accept this name: use its address, or set STATUS_NAMES" if misdirected else ""
        why = why or f"its status.json was answered with HTTP status {status}"
    elif not error:
        figures = figures_of(body)
        why = "" if figures else "its status.json cannot be read"
    return Writer(writer.url, "", writer.waits, figures, why)


def figures_of(body: bytes) -> Figures | None:
    """Reads the figures of a writer's page; None: it has none that can be read."""
    try:
        content = json.loads(body)
        rate, in_flight = _number(content["changes_per_second"]), int(_number(content["in_hand"]))
        tables = {
            _short(row["table"] or _OTHER_TABLES): int(_number(row["older_stream"]))
            for row in content["tables"]
        }
    except (ValueError, LookupError, TypeError, AttributeError, *_ODD_JSON):
        return None
    return Figures(rate, in_flight, {table: changes for table, changes in tables.items() if changes})


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TypeError
    return float(value)


def _waits(content: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    waits = {_short(part): (_short(wait["reason"]), float(wait["since"])) for part, wait in content.items()}
    if not all(math.isfinite(since) for _, since in waits.values()):
        raise ValueError
    return waits


def _short(text: Any) -> str:
    shown = str(text)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]} ..."
