"""Reads the bodies of DynamoDB's answers that hold items, in place of botocore's parser.

botocore walks each item by its model of the service, which is half of the CPU time of a backfill. An answer
that is what DynamoDB documents (status 200, a JSON object, lists and objects where they belong) is read here.
Any other is left to botocore, which knows errors. So are checksums (`x-amz-crc32`), of the body as it came:
where one is wrong, it asks again. After its last try it would return what it got; that is an error here.

Source: Amazon DynamoDB API reference, "Scan", "BatchGetItem", "GetRecords" (response syntax; binary values
are base64).
"""

from __future__ import annotations

from binascii import a2b_base64, crc32
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ChecksumError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CHECKSUM = "x-amz-crc32"
_OK = 200
_NOTHING = b"{}"
_BINARY = (b'"B"', b'"BS"')
_NESTED = frozenset({"M", "L", "B", "BS"})


def read_bodies(client: Any) -> None:
    """Makes a client of aiobotocore read the answers of `Scan`, `BatchGetItem` and `GetRecords` here.

    Records are as in the body, which is as in a Lambda event: binary values are text, times are numbers.
    """
    for operation, items_of in (("Scan", _scanned), ("BatchGetItem", _gotten)):
        client.meta.events.register(f"before-parse.dynamodb.{operation}", _reader(items_of))
    client.meta.events.register("before-parse.dynamodb-streams.GetRecords", _reader(_none))
    for service in ("dynamodb", "dynamodb-streams"):
        client.meta.events.register(f"after-call.{service}", _check)


async def _check(http_response: Any, **_: Any) -> None:
    """Raises `ChecksumError` if the last answer is damaged: what is in it is not known."""
    expected = http_response.headers.get(_CHECKSUM)
    if expected is None or http_response.status_code != _OK:
        return
    actual = str(crc32(await http_response.content))
    if actual != expected:
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)


def _reader(items_of: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> Callable[..., None]:
    def read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] != _OK:
            return
        body = response_dict["body"]
        try:
            answer = orjson.loads(body)
            items = items_of(answer)
            if any(mark in body for mark in _BINARY):
                for item in items:
                    _decode_binaries(item)
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        customized_response_dict.update(answer)
        response_dict["body"] = _NOTHING

    return read


def _scanned(answer: dict[str, Any]) -> Iterable[dict[str, Any]]:
    after = answer.get("LastEvaluatedKey")
    return [*answer["Items"], *([] if after is None else [after])]


def _gotten(answer: dict[str, Any]) -> Iterable[dict[str, Any]]:
    left = answer.get("UnprocessedKeys", {}).values()
    return [
        *(item for items in answer["Responses"].values() for item in items),
        *(key for table in left for key in table["Keys"]),
    ]


def _none(answer: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Nothing to decode, in an object that has a list of objects."""
    if not all(isinstance(each, dict) for each in answer["Records"]):
        raise TypeError
    return ()


def _decode_binaries(attributes: dict[str, Any]) -> None:
    """Turns the text of binary values into bytes, in place."""
    for value in attributes.values():
        _decode(value)


def _decode(value: dict[str, Any]) -> None:
    ((kind, content),) = value.items()
    if kind not in _NESTED:
        return
    if kind == "B":
        value["B"] = a2b_base64(content, strict_mode=True)
    elif kind == "BS":
        value["BS"] = [a2b_base64(each, strict_mode=True) for each in content]
    elif kind == "M":
        _decode_binaries(content)
    else:
        for each in content:
            _decode(each)
