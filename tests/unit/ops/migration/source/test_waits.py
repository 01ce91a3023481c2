"""A command that takes long goes on when credentials or rights are back; at its start it ends instead."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ProfileNotFound

from ops.migration.retry import Retry
from ops.migration.source.export import Bucket
from ops.migration.source.pace import Pace
from ops.migration.source.table import Page, Reader
from shared.errors import FatalError, TransientError
from tests.support.scripted_dynamodb import ScriptedDynamoDb

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIBED = {
    "Table": {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
    }
}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "?"}}, "Scan")


CALLER = [
    refusal(code)
    for code in ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException")
]
RIGHTS = [refusal(code) for code in ("AccessDeniedException", "AccessDenied")]
AWAY = [EndpointConnectionError(endpoint_url="https://x"), ConnectTimeoutError(endpoint_url="https://x")]
GONE = [refusal(code) for code in ("ResourceNotFoundException", "ValidationException")]


@pytest.mark.parametrize("error", [*CALLER, *RIGHTS, *GONE[1:], *AWAY], ids=repr)
async def test_at_the_start_a_person_is_asked(error: Exception, reader_of: Callable[..., Reader]) -> None:
    with pytest.raises(FatalError, match="looking at the table 't'"):
        await reader_of(ScriptedDynamoDb(error)).describe()


async def test_a_table_that_was_never_there(reader_of: Callable[..., Reader]) -> None:
    with pytest.raises(FatalError) as raised:
        await reader_of(ScriptedDynamoDb(GONE[0])).describe()
    assert str(raised.value) == (
        "there is no table 't' in the region us-east-1: check the name, the region (AWS_REGION, --region) "
        "and the account (AWS_PROFILE)"
    )


@pytest.mark.parametrize("error", AWAY, ids=repr)
async def test_a_server_that_has_answered_is_waited_for(
    error: Exception, said: list[str], reader_of: Callable[..., Reader]
) -> None:
    """One that never did may have another address, such as that of a region that does not exist."""
    reader = reader_of(ScriptedDynamoDb(DESCRIBED, error, {"Items": []}))
    await reader.describe()
    assert await reader.page(0, 1, None) == Page([], None)
    assert [line.partition(":")[0] for line in said] == ["waiting", "going on"]
    again = Reader(ScriptedDynamoDb(error, DESCRIBED), "t", Pace(), Retry(said.append), was_reached=True)
    assert (await again.describe()).key == {"id": "N"}


@pytest.mark.parametrize("error", RIGHTS, ids=repr)
async def test_a_right_that_was_never_there(error: Exception, reader_of: Callable[..., Reader]) -> None:
    """What may be described may not be read: nothing was read yet, so a person is asked."""
    reader = reader_of(ScriptedDynamoDb(DESCRIBED, error))
    await reader.describe()
    with pytest.raises(FatalError, match="reading the table 't'"):
        await reader.page(0, 1, None)


@pytest.mark.parametrize("error", CALLER, ids=repr)
async def test_credentials_that_worked_are_waited_for(
    error: Exception, said: list[str], reader_of: Callable[..., Reader]
) -> None:
    """Whatever was asked with them (P4)."""
    reader = reader_of(ScriptedDynamoDb(DESCRIBED, error, {"Items": []}))
    await reader.describe()
    assert await reader.page(0, 1, None) == Page([], None)
    assert said[0].startswith("waiting: reading the table 't': AWS answered ")
    assert "check the" in said[0]
    assert said[1:] == ["going on"]


@pytest.mark.parametrize("error", [*CALLER, *RIGHTS, ProfileNotFound(profile="p")], ids=repr)
async def test_rights_that_were_there_are_waited_for(
    error: Exception, said: list[str], reader_of: Callable[..., Reader]
) -> None:
    reader = reader_of(ScriptedDynamoDb({"Items": []}, error, {"Items": []}))
    for _ in range(2):
        assert await reader.page(0, 1, None) == Page([], None)
    assert [line.partition(":")[0] for line in said] == ["waiting", "going on"]


@pytest.mark.parametrize("error", GONE, ids=repr)
async def test_a_table_that_is_gone_ends_the_command(
    error: Exception, reader_of: Callable[..., Reader]
) -> None:
    """Nobody makes it again with the same items."""
    reader = reader_of(ScriptedDynamoDb({"Items": []}, error))
    await reader.page(0, 1, None)
    with pytest.raises(FatalError):
        await reader.page(0, 1, None)


class Body(io.BytesIO):
    """What S3 streams."""

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        return super().read(size)


@pytest.mark.parametrize("error", [*CALLER, *RIGHTS, refusal("AuthorizationHeaderMalformed")], ids=repr)
async def test_a_bucket_that_could_be_read_is_waited_for(error: Exception) -> None:
    bucket = Bucket(ScriptedDynamoDb(error, {"Body": Body(b"x")}, error, refusal("NoSuchKey")), "s3://b/p")
    with pytest.raises(FatalError):
        await bucket.read("one", io.BytesIO())
    await bucket.read("one", io.BytesIO())
    with pytest.raises(TransientError, match="reading s3://b/p/two"):
        await bucket.read("two", io.BytesIO())
    with pytest.raises(FatalError):
        await bucket.read("two", io.BytesIO())
