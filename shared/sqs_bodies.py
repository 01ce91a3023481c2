"""Reads what SQS answers to a receive, in place of botocore's parser.

botocore decodes an answer by Python's `json`, and walks it by its model of the service: more than half of the
CPU time of a request that brings full messages. An answer that is anything else than status 200 with a JSON
object is left to botocore, which knows errors. `writer.sqs.received` judges what the messages hold.

Source: Amazon SQS API reference, "ReceiveMessage" (response syntax).
"""

from __future__ import annotations

from typing import Any

import orjson

_OK = 200
_NOTHING = b"{}"
_MESSAGES = "Messages"


def read_bodies(client: Any) -> None:
    """Makes an SQS client of aiobotocore read messages here."""
    client.meta.events.register("before-parse.sqs.ReceiveMessage", _read)


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] != _OK:
        return
    try:
        answer = orjson.loads(response_dict["body"])
    except ValueError:
        return
    # Of other members, such as `ResponseMetadata` and `Error`, botocore makes something else.
    if isinstance(answer, dict) and _MESSAGES in answer:
        customized_response_dict[_MESSAGES] = answer[_MESSAGES]
        response_dict["body"] = _NOTHING
