"""The writer's HTTP server: `/healthz`, `/readyz`, and routes of others. Reads state, changes none."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from shared.errors import FatalError
from writer.status.connections import BACKLOG, Connection, Guests, say_goodbye
from writer.telemetry.health import Health

log = logging.getLogger(__name__)

_LEAVE = 1.0  # seconds for open requests at the end; aiohttp waits for them twice
_LONGEST_LEAVE = 4.0  # seconds for all of it: a client that does not read must not keep the writer running

_HEALTH: web.AppKey[Health] = web.AppKey("health")


@asynccontextmanager
async def serve(
    host: str, port: int, health: Health, more: Iterable[web.RouteDef] = (), setting: str = "STATUS_PORT"
) -> AsyncIterator[int]:
    """Serves the endpoints, and `more`, while the context is open; yields the port. `setting` names it.

    `/healthz` is 503 until all dependencies have answered once, and 200 from then on, as long as the
    process answers. `/readyz` is 200 if all dependencies answer, and MongoDB takes the writes of every
    table, else 503; its body says what the writer waits for, why, and since when.

    Raises:
        FatalError: the address cannot be listened on.
    """
    app = web.Application(middlewares=[_log_errors])
    app[_HEALTH] = health
    app.on_response_prepare.append(say_goodbye)
    app.add_routes([web.get("/healthz", _healthz), web.get("/readyz", _readyz), *more])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LEAVE)
    await runner.setup()
    try:
        async with _listening(runner, host, port, setting) as actual:
            log.info("status server listening", extra={"host": host, "port": actual})
            yield actual
    finally:
        try:
            async with asyncio.timeout(_LONGEST_LEAVE):
                await runner.cleanup()
        except TimeoutError:
            log.warning("status server stopped, and dropped open requests")


@asynccontextmanager
async def _listening(runner: web.AppRunner, host: str, port: int, setting: str) -> AsyncIterator[int]:
    """Accepts connections while the context is open; yields the port."""
    guests = Guests()

    def connected() -> Connection:
        if runner.server is None:
            raise RuntimeError("the runner was not set up")
        return Connection(runner.server, guests)

    try:
        listener = await asyncio.get_running_loop().create_server(connected, host, port, backlog=BACKLOG)
    except OSError as error:
        raise FatalError(f"{setting}={port} cannot be listened on: {error.strerror}") from error
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


@web.middleware
async def _log_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers a bug with 500, and logs it. aiohttp's own log lines can quote the request, and are off."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("a page failed", extra={"path": request.path})
        raise


async def _healthz(request: web.Request) -> web.Response:
    health = request.app[_HEALTH]
    if health.has_started:
        return _json({"status": "alive"}, 200)
    return _json({"status": "starting", "waiting_for": _waiting_for(health)}, 503)


async def _readyz(request: web.Request) -> web.Response:
    health = request.app[_HEALTH]
    waiting_for = _waiting_for(health)
    tables = {
        wait.table: {"code": wait.code, "reason": wait.reason, "since": round(wait.since, 3)}
        for wait in health.tables.values()
    }
    waiting = bool(waiting_for or tables)
    content = {"status": "waiting" if waiting else "ready", "waiting_for": waiting_for, "tables": tables}
    return _json(content, 503 if waiting else 200)


def _waiting_for(health: Health) -> dict[str, dict[str, str | float]]:
    return {
        dependency.value: {"reason": wait.reason, "since": round(wait.since, 3)}
        for dependency, wait in health.waits.items()
    }


def _json(content: object, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(content), content_type="application/json", status=status)
