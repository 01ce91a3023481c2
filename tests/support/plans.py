"""Plans of batches, and what a test asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.builders import MIB
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.planning.plan import make_plan

if TYPE_CHECKING:
    from writer.planning.plan import Plan

NUL: dict[str, Any] = {"a\0b": 1}


def plan(*messages: Any, replication: str = "") -> Plan:
    return make_plan(messages, Rules(parse_replication(replication, "replication.yaml")), MIB)


def versions(made: Plan) -> dict[Any, str]:
    """What is written: key → sequence number, negative for a deletion."""
    return {
        write.target.document_id: ("-" if write.document is None else "") + write.change.sequence
        for write in made.writes
    }


def codes(made: Plan) -> list[str]:
    return [poison.letter.code for poison in made.poison]


def sums_up(made: Plan) -> bool:
    assert sum(made.coalesced_of.values()) == made.coalesced
    return made.changes == len(made.writes) + len(made.poison) + made.coalesced
