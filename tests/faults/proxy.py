"""A TCP proxy on the loopback interface that breaks connections on command, or is a slow way.

Law: the delay alone costs no throughput: what is under way waits side by side, as on a long line. Connecting
is not delayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Self

from local.polling import HANG_TIMEOUT_S

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

HOST = "127.0.0.1"
_CHUNK = 65536
_SMALL_CHUNK = 8192  # where all share a narrow line, so that small requests get their turn
_MOST_UNDER_WAY = 512  # chunks of one direction of a connection
_CATCH_UP = 0.02  # seconds of a timer that came late, which a narrow line makes up for
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class Proxy:
    """Forwards connections to one address. A thread moves the data; commands may come from any other."""

    def __init__(
        self, address: str, rng: random.Random, *, round_trip: float = 0.0, bandwidth: float = 0.0
    ) -> None:
        """Start it.

        Args:
            address: `host:port` to forward to.
            rng: Decides which answers are lost.
            round_trip: Seconds that it adds to a request and its answer, half of them to each.
            bandwidth: Bytes per second in each direction, of all connections together; 0: no limit.
        """
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._rng = rng
        self._loss = 0.0
        self._refusing = False
        self._needle: bytes | None = None
        self._caught = threading.Event()
        self._lines: set[_Line] = set()
        self._loop = asyncio.new_event_loop()
        self._flow = asyncio.Event()
        self._flow.set()
        self._delay = round_trip / 2
        self._there, self._back = (_Link(bandwidth) if bandwidth else None for _ in range(2))
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, HOST, 0))
        self.address = f"{HOST}:{self._server.sockets[0].getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._lines)

    def refuse(self) -> None:
        """Resets all connections, and new ones at once, until `flow`."""
        self._refusing = True
        self.reset()

    def reset(self) -> None:
        """Resets all connections (RST), whatever they are doing."""
        self._do(self._reset)

    def stall(self) -> None:
        """Forwards no byte in either direction until `flow`."""
        self._do(self._flow.clear)

    def flow(self) -> None:
        """Ends `stall`, `hold` and `refuse`, and forwards what was held back."""
        self._needle = None
        self._refusing = False
        self._do(self._flow.set)

    def hold(self, needle: bytes) -> threading.Event:
        """Forwards everything before the first request that contains `needle`, and then stalls.

        Returns:
            An event that is set when that request is held.
        """
        self._caught.clear()
        self._needle = needle
        return self._caught

    def lose_answers(self, probability: float) -> None:
        """From now on, resets connections instead of forwarding answers: the requests were carried out."""
        self._loss = probability

    def close(self) -> None:
        """Closes all connections and stops."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANG_TIMEOUT_S)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANG_TIMEOUT_S)

    def _do(self, action: Callable[[], object]) -> None:
        async def act() -> None:
            action()

        self._run(act())

    def _reset(self) -> None:
        for line in list(self._lines):
            line.reset()

    async def _close(self) -> None:
        self._server.close()
        self._reset()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _Line(writer).reset()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:  # the server is down, and the client must notice
            writer.transport.abort()
            return
        line = _Line(writer, server_writer)
        self._lines.add(line)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, server_writer, line, self._stop_at_needle, self._there))
                group.create_task(self._pump(server_reader, writer, line, self._is_lost, self._back))
        except asyncio.CancelledError:  # by `_close`; asyncio would log it as an error of the server
            line.reset()
        finally:
            self._lines.discard(line)
            line.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        line: _Line,
        examine: Callable[[bytes], bool],
        link: _Link | None,
    ) -> None:
        """Forwards data in one direction until one end closes, then closes the other end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._arrive(under_way, writer, line))
            with contextlib.suppress(OSError):  # reset, by the proxy or by one end
                while data := await reader.read(_SMALL_CHUNK if link else _CHUNK):
                    is_lost = examine(data)
                    if link is not None:
                        await link.carry(len(data))
                    if is_lost:
                        await self._flow.wait()
                        line.reset()
                        break
                    await under_way.put((self._loop.time() + self._delay, data))
            await under_way.put((0.0, b""))

    async def _arrive(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, line: _Line
    ) -> None:
        """Hands on what is under way when its time has come, until its end."""
        with contextlib.suppress(OSError):
            while (there := await under_way.get())[1]:
                due, data = there
                if (early := due - self._loop.time()) > 0:
                    await asyncio.sleep(early)
                await self._flow.wait()
                writer.write(data)
                await writer.drain()
        line.close()
        while not under_way.empty():  # nobody waits for room
            under_way.get_nowait()

    def _stop_at_needle(self, data: bytes) -> bool:
        if self._needle is not None and self._needle in data:
            self._needle = None
            self._flow.clear()
            self._caught.set()
        return False

    def _is_lost(self, _: bytes) -> bool:
        return self._rng.random() < self._loss


class _Link:
    """One direction of a narrow line, which all connections share chunk by chunk."""

    def __init__(self, bandwidth: float) -> None:
        self._bandwidth = bandwidth
        self._turn = asyncio.Lock()
        self._free = 0.0

    async def carry(self, size: int) -> None:
        """Takes as long as so many bytes do, after those of the others that came before."""
        async with self._turn:
            time = asyncio.get_running_loop().time
            self._free = max(self._free, time() - _CATCH_UP) + size / self._bandwidth
            await asyncio.sleep(self._free - time())


class _Line:
    """Both ends of one connection."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends

    def close(self) -> None:
        for end in self._ends:
            end.close()

    def reset(self) -> None:
        for end in self._ends:
            connection: socket.socket | None = end.get_extra_info("socket")
            if connection is not None and not end.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()
