"""A proxy before a MongoDB that reads its protocol, and answers some commands or single writes itself."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.support.mongodb_wire import HEADER, OP_MSG, SEQUENCES, command_in, read, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tests.support.mongodb_wire import Command

    Judge = Callable[[str, Command, int], int | None]

HOST = "127.0.0.1"


class MongoProxy:
    """Forwards to one server.

    Attributes:
        refuse_command: gets a command's name and the command; returns the code to refuse it with, or None.
        refuse_operation: gets a command's name, the command and the position of one of its writes; returns
            the code to refuse that write with, or None. The other writes are forwarded.
        answer: gets a command's name and the command; returns what is answered instead of forwarding it, or
            None.
        refused: how many refusals and such answers were sent.
    """

    def __init__(self) -> None:
        self.address = ""
        self.refuse_command: Callable[[str, Command], int | None] = lambda *_: None
        self.refuse_operation: Judge = lambda *_: None
        self.answer: Callable[[str, Command], Command | None] = lambda *_: None
        self.refused = 0

    @property
    def uri(self) -> str:
        """Leads a driver here, and not to the addresses that the replica set knows."""
        return f"mongodb://{self.address}/?directConnection=true"

    def heal(self) -> None:
        """From now on everything is forwarded."""
        self.refuse_command = lambda *_: None
        self.refuse_operation = lambda *_: None
        self.answer = lambda *_: None
        self.refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
        """Serves one connection."""
        host, _, port = target.rpartition(":")
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        left_out: dict[int, tuple[dict[int, int], int]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, writer, server_writer, left_out))
                group.create_task(_answers(server_reader, writer, left_out))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one end has closed the connection
        finally:
            writer.close()
            server_writer.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
        left_out: dict[int, tuple[dict[int, int], int]],
    ) -> None:
        while True:
            number, kind, message = await read(reader)
            command = command_in(message) if kind == OP_MSG else {}
            name = next(iter(command), "")
            if (code := self.refuse_command(name, command)) is not None:
                self.refused += 1
                write(client, number, {"ok": 0.0, "code": code, "errmsg": "refused by the test"})
                continue
            if (answer := self.answer(name, command)) is not None:
                self.refused += 1
                write(client, number, answer)
                continue
            writes = command.get(SEQUENCES.get(name, ""), [])
            codes = {n: self.refuse_operation(name, command, n) for n in range(len(writes))}
            refused = {n: found for n, found in codes.items() if found is not None}
            if not refused:
                server.write(message)
                continue
            self.refused += len(refused)
            rest = [operation for n, operation in enumerate(writes) if n not in refused]
            if not rest:
                answer = {"ok": 1.0, "n": 0, "nModified": 0}
                write(client, number, _with_errors(answer, refused, len(writes)))
                continue
            left_out[number] = refused, len(writes)
            write(server, 0, {**command, SEQUENCES[name]: rest}, number)


@asynccontextmanager
async def mongodb_proxy(target: str) -> AsyncIterator[MongoProxy]:
    """A proxy before `target` (host:port), in the running event loop."""
    proxy = MongoProxy()
    server = await asyncio.start_server(lambda r, w: proxy.serve(r, w, target), HOST, 0)
    proxy.address = f"{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if "MongoProxy.serve" in repr(task.get_coro())]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _answers(
    reader: asyncio.StreamReader,
    client: asyncio.StreamWriter,
    left_out: dict[int, tuple[dict[int, int], int]],
) -> None:
    while True:
        _, kind, message = await read(reader)
        _, _, request, _ = HEADER.unpack_from(message)
        if kind != OP_MSG or request not in left_out:
            client.write(message)
            continue
        refused, size = left_out.pop(request)
        write(client, request, _with_errors(command_in(message), refused, size))


def _with_errors(answer: Command, refused: Mapping[int, int], size: int) -> Command:
    """The answer to a part of the writes as one to all of them."""
    there = [n for n in range(size) if n not in refused]
    errors = [{**each, "index": there[each["index"]]} for each in answer.get("writeErrors", ())]
    errors += [
        {"index": n, "code": code, "errmsg": "refused by the test", "keyPattern": {"unique": 1}}
        if code == 11000
        else {"index": n, "code": code, "errmsg": "refused by the test"}
        for n, code in refused.items()
    ]
    upserted = [{**each, "index": there[each["index"]]} for each in answer.get("upserted", ())]
    rest = {name: value for name, value in answer.items() if name not in ("writeErrors", "upserted")}
    return {**rest, **({"upserted": upserted} if upserted else {}), "writeErrors": errors}
