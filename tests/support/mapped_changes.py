"""Changes that go through a mapping and a plan into a world's database, and what is there then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import MIB, TABLE, message
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan

if TYPE_CHECKING:
    from shared.change import Change
    from tests.contract.worlds import Document, World


def mapping(**rule: str) -> Rules:
    members = ", ".join(f"{name}: {value}" for name, value in rule.items())
    return Rules(parse_replication(f"tables: {{{TABLE}: {{{members}}}}}", "replication.yaml"))


async def apply(world: World, rules: Rules, *changes: Change) -> bool:
    """Applies changes as one batch; tells whether nothing has to be tried again."""
    made = make_plan([message(change, number=n) for n, change in enumerate(changes)], rules, MIB)
    assert made.poison == []
    return not (await world.sink.apply(made.writes)).failures


def documents(world: World) -> list[Document]:
    return world.documents(TABLE)


def only(world: World) -> Document:
    (document,) = documents(world)
    return {name: value for name, value in document.items() if name not in {"_id", "id", "_ddb"}}
