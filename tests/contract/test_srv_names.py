"""`mongodb+srv://`: a DNS that is away is waited for, a name that does not exist ends the writer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from shared.errors import FatalError, TransientError
from tests.support.sinks import SECRET, sink_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "db.example.com"


class NameServer(asyncio.DatagramProtocol):
    """Answers every question with one code; None: not at all."""

    def __init__(self) -> None:
        self.code: dns.rcode.Rcode | None = None
        self.asked = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.asked += 1
        if self.code is None or self._transport is None:
            return
        answer = dns.message.make_response(dns.message.from_wire(data))
        answer.set_rcode(self.code)
        if self.code == dns.rcode.NOERROR and answer.question[0].rdtype == dns.rdatatype.SRV:
            text = f"0 0 1 shard.{NAME.partition('.')[2]}."
            answer.answer.append(dns.rrset.from_text(answer.question[0].name, 1, "IN", "SRV", text))
        self._transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def name_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    """The one that the driver asks."""
    server = NameServer()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, ("127.0.0.1", 0))
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    # How long the driver asks.
    monkeypatch.setattr("writer.mongodb.client._SELECTION_MS", 1_000)
    yield server
    transport.close()


URI = f"mongodb+srv://writer:{SECRET}@{NAME}/"


@pytest.mark.parametrize("code", [None, dns.rcode.SERVFAIL, dns.rcode.REFUSED], ids=str)
async def test_a_dns_that_is_away_is_waited_for(
    name_server: NameServer, code: dns.rcode.Rcode | None
) -> None:
    """It asks again with each try, and the sentence says what it waits for."""
    name_server.code = code
    with sink_on(URI, "t") as sink:
        for _ in range(2):
            before = name_server.asked
            with pytest.raises(
                TransientError, match="DNS does not resolve the name in MONGODB_URI"
            ) as caught:
                await sink.open()
            assert name_server.asked > before
            assert SECRET not in str(caught.value)


async def test_it_goes_on_when_the_dns_is_back(name_server: NameServer) -> None:
    """Then it waits for the servers whose names it got."""
    name_server.code = dns.rcode.SERVFAIL
    with sink_on(URI, "t") as sink:
        with pytest.raises(TransientError, match="DNS"):
            await sink.open()
        name_server.code = dns.rcode.NOERROR
        with pytest.raises(TransientError, match=r"MongoDB at .*:\d+ does not answer"):
            await sink.open()


async def test_a_name_that_does_not_exist_ends_the_writer(name_server: NameServer) -> None:
    """No waiting helps against a typing error."""
    name_server.code = dns.rcode.NXDOMAIN
    with sink_on(URI, "t") as sink, pytest.raises(FatalError, match="does not exist in the DNS"):
        await sink.open()


async def test_in_mid_run_no_name_ends_the_writer(name_server: NameServer) -> None:
    """A zone may be gone for a while."""
    name_server.code = dns.rcode.NXDOMAIN
    with sink_on(URI, "t") as sink, pytest.raises(TransientError):
        await sink.ping()
