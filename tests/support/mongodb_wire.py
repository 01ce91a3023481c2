"""Messages of MongoDB's wire protocol, as a proxy reads and writes them.

Source of the format: MongoDB wire protocol, OP_MSG; and OP_QUERY with OP_REPLY, which drivers still use for
the first command of a connection. No compression and no checksums: drivers use neither unless they are asked.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import bson

if TYPE_CHECKING:
    import asyncio

Command = dict[str, Any]

HEADER = struct.Struct("<iiii")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
SEQUENCES = {"insert": "documents", "update": "updates", "delete": "deletes"}
"""Where the writes of a command stand in it, by its name."""


async def read(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """The next message: its number, kind and bytes."""
    header = await reader.readexactly(HEADER.size)
    length, number, _, kind = HEADER.unpack(header)
    return number, kind, header + await reader.readexactly(length - HEADER.size)


def command_in(message: bytes) -> Command:
    """The command or answer in an OP_MSG, its document sequences beside the other fields."""
    command: Command = {}
    sequences: dict[str, list[Any]] = {}
    at = HEADER.size + 4
    while at < len(message):
        section, at = message[at], at + 1
        (size,) = struct.unpack_from("<i", message, at)
        if section == 0:
            command = bson.decode(message[at : at + size])
        else:
            end = message.index(b"\0", at + 4)
            name = message[at + 4 : end].decode()
            sequences[name] = bson.decode_all(message[end + 1 : at + size])
        at += size
    return command | sequences


def write(writer: asyncio.StreamWriter, request: int, body: Command, number: int = 0) -> None:
    """Sends a command or an answer as OP_MSG. `request`: the number of what is answered."""
    content = struct.pack("<I", 0) + b"\0" + bson.encode(body)
    writer.write(HEADER.pack(HEADER.size + len(content), number, request, OP_MSG) + content)
