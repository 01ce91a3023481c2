"""Whatever the shards of a stream are, and however they are found: each is read once, after its parent."""

from __future__ import annotations

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from follow.reader.lineage import Lineage, Position, Shard


class Stream(RuleBasedStateMachine):
    """A stream whose shards split and are trimmed, and a process that reads it and starts anew at times."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: dict[str, str | None] = {}
        self.trimmed: set[str] = set()
        self.begun: set[str] = set()
        self.ended: list[str] = []
        self.durable: dict[str, Position] = {}
        self.lineage = Lineage({})

    @rule(data=st.data())
    def a_shard_is_made(self, data: st.DataObject) -> None:
        there: list[str | None] = [each for each in self.parents if each not in self.trimmed]
        self.parents[f"shard-{len(self.parents)}"] = data.draw(st.sampled_from([None, *there]))

    @rule(order=st.randoms(use_true_random=False), again=st.booleans())
    def the_stream_is_listed(self, order: random.Random, *, again: bool) -> None:
        closed = set(self.parents.values())
        shards = [
            Shard(shard, parent, shard in closed)
            for shard, parent in self.parents.items()
            if shard not in self.trimmed
        ]
        order.shuffle(shards)
        found = self.lineage.listing([*shards, *shards] if again else shards)
        assert not found.lost
        for shard in found.forgotten:
            self.durable.pop(shard, None)
        for shard in self.lineage.begin():
            assert shard not in self.begun
            parent = self.parents[shard]
            assert parent is None or parent in self.trimmed or parent in self.ended
            self.begun.add(shard)

    @rule(data=st.data())
    def a_shard_is_read_to_its_end(self, data: st.DataObject) -> None:
        closed = sorted(each for each in self.lineage.reading if self.lineage.may_end(each))
        if closed:
            self._end(data.draw(st.sampled_from(closed)))

    @rule(share=st.floats(0, 1))
    def what_was_read_is_trimmed(self, share: float) -> None:
        self.trimmed |= set(self.ended[: round(share * len(self.ended))])

    @rule()
    def the_process_starts_anew(self) -> None:
        self.durable |= {shard: Position("1") for shard in self.lineage.reading}
        self.begun -= self.lineage.reading
        self.lineage = Lineage(self.durable)

    def teardown(self) -> None:
        """When nothing new comes, all of them are read."""
        order = random.Random(0)  # noqa: S311 - any order
        for _ in range(len(self.parents) + 1):
            self.the_stream_is_listed(order, again=False)
            for shard in sorted(self.lineage.reading):
                if self.lineage.may_end(shard):
                    self._end(shard)
        assert self.begun == set(self.parents)
        assert len(self.ended) == len(set(self.ended))

    def _end(self, shard: str) -> None:
        self.lineage.end(shard)
        self.ended.append(shard)
        self.durable[shard] = Position(done=True)


TestShards = Stream.TestCase
