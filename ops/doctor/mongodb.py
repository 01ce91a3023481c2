"""Whether MongoDB is one that the writers can work with, from here and with this user.

Law: nothing is written but a trial, which is removed (`ops.doctor.target`).
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops.console.terminal import count
from ops.doctor.findings import Finding, not_well, unknown, well
from ops.doctor.identity import clock_finding
from ops.doctor.looking import not_seen
from shared.errors import FatalError, TransientError
from writer.names import database_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from ops.doctor.target import Address, Target
    from writer.records import Found, MappingRecord

_CONNECTIONS = 2
_GIVE_URI = "Give --mongodb-uri (MONGODB_URI)."
_GIVE_DATABASE = "Give --mongodb-database (MONGODB_DATABASE)."
_NEEDED = "Use MongoDB 5.0 or later, as a replica set or a sharded cluster."

Place = tuple[str, str]
"""Database and collection."""


@dataclass(slots=True)
class Seen:
    """What MongoDB showed.

    Attributes:
        findings: about itself.
        recorded: by which rules writers say that they replicate; None: not known.
        unknown: why that is not known.
    """

    findings: list[Finding] = field(default_factory=list)
    recorded: Found[MappingRecord] | None = None
    unknown: str = "MongoDB was not asked"


async def check_mongodb(
    uri: str, databases: Collection[str], places: Collection[Place], queue_url: str
) -> Seen:
    """Looks at MongoDB.

    Args:
        uri: a secret; empty: not given.
        databases: those that are written to, the default one first; empty: not known.
        places: the collections that are written to, as far as they are known.
        queue_url: whose writers' records are read; empty: of all queues.
    """
    from ops.doctor.target import Target, address_of  # noqa: PLC0415 - help does not wait for the driver

    if not uri:
        text = "Cannot check MongoDB: no connection string is given."
        return Seen([unknown("mongodb", text, _GIVE_URI)])
    try:
        target = Target.connect(uri, next(iter(databases), ""), _CONNECTIONS, databases)
        address = address_of(uri)
    except FatalError as error:
        return Seen([not_well("mongodb-uri", f"{error}.", "Correct MONGODB_URI.")])
    with closing(target):
        seen = Seen([_tls(address), *await _ask(target, address, databases, places)])
        if databases and not any(each.check == "mongodb-answers" for each in seen.findings):
            try:
                seen.recorded = await target.records.mappings(queue=queue_url)
            except (TransientError, FatalError) as error:
                seen.unknown = str(error)
        return seen


async def _ask(
    target: Target, address: Address, databases: Collection[str], places: Collection[Place]
) -> list[Finding]:
    try:
        hello, build = await target.answers()
    except TransientError as error:
        reason = str(error).removeprefix("MongoDB: ")
        text = f"MongoDB does not answer at {address.hosts}: {reason}."
        found = not_well("mongodb-answers", text, "Check host, port, network and firewall, and TLS.")
    except FatalError as error:
        found = not_well("mongodb-answers", f"{address.hosts}: {error}.", "Correct MONGODB_URI.")
    else:
        return [
            *_server(target, address, hello, build),
            _clock(hello),
            *await _guarded("mongodb-rights", "The rights of the user", _databases(target, databases)),
            *await _guarded(
                "mongodb-collections", "The collections", _collections(target, databases, places)
            ),
        ]
    return [
        found,
        unknown(
            "mongodb-rights",
            "What this MongoDB can do, and what its user may do, was not checked.",
            "Run this again when MongoDB answers.",
        ),
    ]


async def _guarded(check: str, what: str, findings: AsyncIterator[Finding]) -> list[Finding]:
    """What a check finds; what it raises hides no other check."""
    found = []
    try:
        async for finding in findings:
            found.append(finding)  # noqa: PERF401 - those before an error stay
    except Exception as error:  # noqa: BLE001
        found.append(not_seen(check, what, "", error))
    return found


def _tls(address: Address) -> Finding:
    if address.is_encrypted:
        return well("mongodb-tls", f"The connection to {address.hosts} is encrypted (TLS).")
    if address.is_local:
        return well(
            "mongodb-tls", f"The connection to {address.hosts} has no TLS, and stays on this machine."
        )
    return not_well(
        "mongodb-tls",
        f"The connection to {address.hosts} has no TLS: documents and passwords can be read in transit.",
        "Add tls=true to MONGODB_URI, and tlsCAFile if you use your own certificate authority.",
    )


def _server(
    target: Target, address: Address, hello: Mapping[str, Any], build: Mapping[str, Any]
) -> list[Finding]:
    if problem := target.problem(hello, build):
        return [not_well("mongodb-server", f"The writers cannot use {address.hosts}: {problem}.", _NEEDED)]
    version = str(build.get("version", "")) or "of an unknown version, as buildInfo was refused"
    members = hello.get("hosts")
    if hello.get("msg") == "isdbgrid" or not isinstance(members, list):
        kind = "a sharded cluster"
    else:
        kind = f"the replica set {hello.get('setName')} with {count(len(members), 'member')} that hold data"
        kind = kind.replace("1 member that hold", "1 member that holds")
    return [well("mongodb-server", f"MongoDB {version} answers at {address.hosts}: {kind}.")]


def _clock(hello: Mapping[str, Any]) -> Finding:
    theirs = hello.get("localTime")
    if not isinstance(theirs, datetime):
        text = "Cannot tell whether MongoDB's clock is right: it did not send its time."
        return unknown("mongodb-clock", text, "Check the clock of its machine.")
    return clock_finding("mongodb-clock", "MongoDB", theirs.replace(tzinfo=UTC).timestamp(), time.time())


async def _databases(target: Target, databases: Collection[str]) -> AsyncIterator[Finding]:
    if not databases:
        text = "Cannot tell whether the user may write: no database is given."
        yield unknown("mongodb-rights", text, _GIVE_DATABASE)
    for name in databases:
        if problem := database_problem(name):
            yield not_well("mongodb-database", f"The database name {name!r} {problem}.", _GIVE_DATABASE)
            continue
        is_used = await target.has_writers_collection(name)
        if is_used is False:
            yield await _unused(target, name)
        try:
            await target.try_operations(name, is_used=bool(is_used))
        except TransientError as error:
            yield not_seen(
                "mongodb-rights", f"Cannot tell whether the user may write to the database {name}", "", error
            )
        except FatalError as error:
            yield not_well("mongodb-rights", f"{error}.", f"Grant the role readWrite on the database {name}.")
        else:
            how = "" if is_used else " (in a transaction that was rolled back)"
            yield well(
                "mongodb-rights", f"The user may write to the database {name}: a test write succeeded{how}."
            )


async def _unused(target: Target, name: str) -> Finding:
    similar = await target.similar_database(name)
    meant = f" (did you mean {similar}?)" if similar else ""
    return unknown(
        "mongodb-database",
        f"Cannot tell whether {name} is the right database: no writer has used it yet{meant}.",
        "Check MONGODB_DATABASE, or start a writer.",
    )


async def _collections(
    target: Target, databases: Collection[str], places: Collection[Place]
) -> AsyncIterator[Finding]:
    if not databases:
        return
    if not places:
        yield unknown(
            "mongodb-collections",
            "Cannot tell whether the collections can be written to: no tables are known.",
            "Name the pipeline with --stack, which tells its tables.",
        )
        return
    problems = []
    for database, collection in places:
        if (failure := await target.place_problem(database, collection)) is not None:
            problems.append(failure.reason)
    for problem in problems:
        yield not_well("mongodb-collections", f"{problem}.", "Make it an ordinary collection.")
    if not problems:
        number = count(len(places), "collection")
        yield well("mongodb-collections", f"{number} of the tables can be written to.")
