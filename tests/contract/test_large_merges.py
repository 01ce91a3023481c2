"""Merging items with very many attributes: the work of the server grows with them, not with their square."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import target
from writer.mongodb.guard import document_filter, guarded_put
from writer.mongodb.sending import update
from writer.write import Merge

if TYPE_CHECKING:
    import pymongo

    from tests.contract.worlds import Document

ATTRIBUTES = 90_000
"""Of one item: 400 KB hold no more."""

BOUND_MS = 90_000
"""The server gives up after this. It takes less than a second; a look-up of each name took minutes."""


def test_an_item_of_ninety_thousand_attributes_is_cut_down_to_ten(
    database: str, mongodb: pymongo.MongoClient[Document]
) -> None:
    """The attributes are gone, also those with dots and `$`, and what applications added stays."""
    names = ["a.b", "$c", *(f"n{number}" for number in range(ATTRIBUTES - 2))]
    kept = names[2:12]
    collection = mongodb[database]["items"]
    mongodb[database].command(
        "insert",
        "items",
        documents=[{"_id": 1, **dict.fromkeys(names, 1), "app": None, "_ddb": {"v": "1", "names": names}}],
    )
    image = {"_id": 1, **dict.fromkeys(kept, 2), "_ddb": {"v": "2", "names": kept}}
    made = guarded_put(target(1), "2", image, merge=Merge([], kept))
    operation = update(document_filter(target(1), {}), made, upsert=True)
    answer = mongodb[database].command("update", "items", updates=[operation], maxTimeMS=BOUND_MS)
    assert answer["nModified"] == 1
    assert collection.find_one() == {"app": None, **image}
