"""An SQS that answers the producer as a test has scripted it, and the records to send there."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from producer_lambda.forward import Producer
from producer_lambda.sending import Queue
from producer_lambda.settings import Settings
from tests.support.strategies import stream_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_aiobotocore_sqs import SQSClient

    from producer_lambda.forward import Response

    Entries = Sequence[dict[str, Any]]
    Answer = dict[str, Any]

MIB = 1024 * 1024
QUEUE, DEAD = "https://sqs/q.fifo", "https://sqs/d.fifo"
SECRET = "4111-1111-1111-1111"


def took(entries: Entries) -> Answer:
    return {"Successful": [{"Id": entry["Id"], "MessageId": f"message-{entry['Id']}"} for entry in entries]}


def refuses(
    code: str, *, sender_fault: bool = False, only: Callable[[dict[str, Any]], bool] = lambda _: True
) -> Callable[[Entries], Answer]:
    """An answer that refuses the entries for which `only` holds."""

    def answer(entries: Entries) -> Answer:
        refused = [entry for entry in entries if only(entry)]
        failed = [{"Id": e["Id"], "Code": code, "Message": "m", "SenderFault": sender_fault} for e in refused]
        return {**took([entry for entry in entries if entry not in refused]), "Failed": failed}

    return answer


def hangs(_: Entries) -> Answer:
    """An answer that never comes."""
    raise _HangsError


class _HangsError(Exception):
    pass


class ScriptedSqs:
    """Answers calls as scripted for a queue, and takes everything after that; time is ours."""

    def __init__(self, **script: Sequence[Callable[[Entries], Answer] | Exception]) -> None:
        self._script = {QUEUE: list(script.get("queue", ())), DEAD: list(script.get("dead", ()))}
        self.sent: list[tuple[str, list[dict[str, Any]]]] = []
        self.taken: dict[str, list[dict[str, Any]]] = {QUEUE: [], DEAD: []}
        self.pauses: list[float] = []
        self.seconds = 60.0
        self.producer: Producer | None = None
        """That of the last invocation; a test that keeps it goes on in the same environment."""
        self.looks: list[float] = []
        """What the first looks at the clock show; then it is `seconds`."""

    async def send_message_batch(self, *, QueueUrl: str, Entries: Entries) -> Answer:  # noqa: N803 - the API's
        self.sent.append((QueueUrl, list(Entries)))
        step = self._script[QueueUrl].pop(0) if self._script[QueueUrl] else took
        if isinstance(step, Exception):
            raise step
        try:
            answer = step(Entries)
        except _HangsError:
            await asyncio.Event().wait()
            raise
        ids = {entry["Id"] for entry in answer.get("Successful", ())} if isinstance(answer, dict) else ()
        self.taken[QueueUrl] += [entry for entry in Entries if entry["Id"] in ids]
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds -= seconds

    def remaining(self) -> float:
        return self.looks.pop(0) if self.looks else self.seconds

    async def forward(
        self,
        *records: Any,
        limit: int = MIB,
        dead_limit: int = MIB,
        lanes: int = 2,
        function: str | None = None,
        now: float = 0.0,
    ) -> Response:
        self.producer = Producer(
            cast("SQSClient", self),
            Queue(QUEUE, limit),
            Queue(DEAD, dead_limit),
            Settings(QUEUE, DEAD, lanes, frozenset(), "INFO", function),
            sleep=self.sleep,
            now=lambda: now,
        )
        return await self.forward_again(*records)

    async def forward_again(self, *records: Any) -> Response:
        """A further invocation of the same environment."""
        assert self.producer is not None
        return await self.producer.forward({"Records": list(records)}, self.remaining)

    def changes(self, url: str = QUEUE) -> list[str]:
        """The sequence numbers that the queue holds."""
        bodies = [json.loads(entry["MessageBody"]) for entry in self.taken[url]]
        return sorted((change["seq"] for body in bodies for change in body["changes"]), key=int)


def insert(sequence: int, size: int = 0) -> dict[str, Any]:
    """A record; with a size of 200 KB, of two of a lane each is a message of its own."""
    key = {"id": {"N": str(sequence)}}
    return stream_record("INSERT", sequence, key=key, new=key | {"card": {"S": SECRET + "x" * size}})


MALFORMED = insert(5) | {"eventName": "TRUNCATE"}
OK: Response = {"batchItemFailures": []}


def reported(sequence: int) -> Response:
    return {"batchItemFailures": [{"itemIdentifier": str(sequence)}]}
