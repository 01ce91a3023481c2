"""A DynamoDB client that answers as a test has scripted it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ScriptedDynamoDb:
    """Gives its answers one after the other, whatever it is asked; errors are raised."""

    meta = SimpleNamespace(region_name="us-east-1")

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def __getattr__(self, _: str) -> Callable[..., Any]:
        async def call(**arguments: Any) -> Any:
            self.asked.append(arguments)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call
