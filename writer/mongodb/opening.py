"""Whether a server can do what every write needs: by what it says of itself, and by trying it.

Law: it ends the writer only for what the server says in its own words. Anything unforeseen is waited for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.errors import OperationFailure

from shared.errors import FatalError, TransientError
from writer.mongodb.driver import Client, Collection
from writer.mongodb.driver_errors import cannot, concerns_server
from writer.mongodb.guard import document_filter, guarded_put, removal_filter
from writer.mongodb.places import full_name
from writer.mongodb.sending import send_one, update
from writer.write import Merge, Removal, Target

_OLDEST_WIRE = 13
"""The wire version of MongoDB 5.0, the first that takes field names with `$` and dots."""

_AGE = timedelta(days=20)
"""How old what is tried says it is: if we die, it expires soon, and no sweep looks at it."""

_PRODUCTS = {
    ".docdb.amazonaws.com": "Amazon DocumentDB",
    ".docdb-elastic.amazonaws.com": "Amazon DocumentDB",
    ".cosmos.azure.com": "Azure Cosmos DB",
    ".firestore.goog": "Google Firestore",
}
"""By the end of the host names that a server gives itself."""


def server_problem(hello: Mapping[str, Any], build: Mapping[str, Any]) -> str | None:
    """Returns why a server cannot be used, from its answers to `hello` and `buildInfo`."""
    hosts = [str(name).partition(":")[0] for name in (hello.get("me"), *hello.get("hosts", ())) if name]
    for ending, product in _PRODUCTS.items():
        if any(host.endswith(ending) for host in hosts):
            return f"it is {product}"
    if any(name.lower().startswith("ferretdb") for name in build):
        return "it is FerretDB"
    if "_t" in build or not {"cosmos_versions", "documentdb_versions"}.isdisjoint(hello.get("internal", ())):
        return "it is Azure Cosmos DB, or another DocumentDB"
    if hello.get("maxWireVersion", 0) < _OLDEST_WIRE:
        return f"it is version {build.get('version', 'unknown')}"
    if "setName" not in hello and hello.get("msg") != "isdbgrid" and not hello.get("isreplicaset"):
        return (
            "it is not a member of a replica set, so it has neither majority writes nor retryable writes; "
            "start a single mongod with --replSet, and run rs.initiate()"
        )
    if "logicalSessionTimeoutMinutes" not in hello and not hello.get("isreplicaset"):
        return "it has no sessions, and so no retryable writes"
    return None


async def check_server(client: Client) -> None:
    """Asks a server what it is.

    Raises:
        FatalError: it cannot be used.
        TransientError: it is not ready.
        PyMongoError: as the driver raises it.
    """
    hello = await client.admin.command("hello")
    try:
        build = await client.admin.command("buildInfo")
    except OperationFailure as error:
        if concerns_server(error):
            raise
        build = {}
    if problem := server_problem(hello, build):
        raise FatalError(cannot(problem))
    if hello.get("isreplicaset"):
        raise TransientError("the replica set of MongoDB is not initiated yet")


async def try_writes(tombstones: Collection) -> None:
    """Tries guarded puts and a removal on a document that nobody else has.

    Raises:
        FatalError: the server took them and did something else.
        TransientError: nobody knows what it did.
        PyMongoError: as the driver raises it.
    """
    key = {"c": "", "k": str(ObjectId())}  # no collection has an empty name
    target = Target("", tombstones.name, key, ("", "", key["k"]), "try")
    at = datetime.now(UTC) - _AGE

    async def put(
        version: str, fields: Mapping[str, Any], merge: Merge | None = None
    ) -> tuple[int, int, int]:
        # It looks like a tombstone to whoever reads those.
        tombstone = {"_id": key, "v": version, "f": "try", "at": at}
        document = {**tombstone, **fields, "try": {"v": version, "names": [*fields]}}
        made = guarded_put(target, version, document, merge=merge)
        answer = await send_one(tombstones, "update", update(document_filter(target, {}), made, upsert=True))
        return len(answer.upserted), answer.done - len(answer.upserted), answer.modified

    inserted = await put("2", {"$a": {"$b.c": "$$ROOT"}, "gone": 1})
    older = await put("1", {"older": 1})
    merged = await put("3", {"newer": 1}, Merge((), ("newer",)))
    found = await tombstones.find_one({"_id": key}, dict.fromkeys(("_id", "v", "f", "at", "try"), 0))
    removal = {"q": removal_filter(target, Removal({}, "3")), "limit": 1}
    removed = await send_one(tombstones, "delete", removal)
    if (inserted, older, merged, found, removed.done) != (
        (1, 0, 0),
        (0, 1, 0),
        (0, 1, 1),
        {"newer": 1},
        1,
    ):
        raise FatalError(cannot(f"a test of them on {full_name(tombstones)} had an unexpected result"))
