"""An endpoint without Lambda's API is named; what Lambda itself answers is not taken for that."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.lambda_api import NoLambdaError, naming_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_lambda import LambdaClient

AWS = "https://lambda.us-east-1.amazonaws.com"
EMPTY: dict[str, Any] = {"EventSourceMappings": []}


class Endpoint(http.server.ThreadingHTTPServer):
    """Gives one answer to everything."""

    answer: tuple[int, bytes, str] = (200, b"", "")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Endpoint)
        status, body, code = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("x-amzn-ErrorType", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def functions(endpoint: Endpoint) -> LambdaClient:
    """Asks once, so that an answer that passes is not waited for."""
    return boto3.session.Session("x", "x", region_name="us-east-1").client(
        "lambda", endpoint_url=endpoint.url, config=Config(retries={"total_max_attempts": 1}, proxies={})
    )


def ask(functions: LambdaClient) -> Any:
    with asking("listing"), naming_endpoint(functions.meta.endpoint_url):
        return functions.list_event_source_mappings(FunctionName="f")["EventSourceMappings"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, b"<html>Bad Request</html>", ""), "HTTP status 400"),
        ((404, b"not here", ""), "HTTP status 404"),
        ((404, b"", ""), "HTTP status 404"),
        ((405, b"{}", ""), "HTTP status 405"),
        ((501, b"no", ""), "HTTP status 501"),
        (
            (400, b'{"__type":"UnknownOperationException"}', "UnknownOperationException"),
            "UnknownOperationException",
        ),
        ((403, b'{"message":"?"}', "MissingAuthenticationToken"), "MissingAuthenticationToken"),
        ((500, b'{"message":"?"}', "InternalFailure"), "InternalFailure"),  # as DynamoDB Local
        ((200, b"<html>Welcome</html>", ""), "something else"),
        ((200, b"", ""), "something else"),
        ((200, b"{}", ""), "something else"),
        ((200, b"[]", ""), "something else"),
    ],
    ids=repr,
)
def test_what_no_lambda_answers(
    endpoint: Endpoint, functions: LambdaClient, answer: tuple[int, bytes, str], said: str
) -> None:
    """A sentence with the address, whatever it is."""
    endpoint.answer = answer
    with pytest.raises(NoLambdaError) as caught:
        ask(functions)
    assert str(caught.value) == f"{endpoint.url} has no Lambda API: it answered {said}"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDeniedException"),
        (400, "InvalidParameterValueException"),
        (404, "ResourceNotFoundException"),
        (429, "TooManyRequestsException"),
        (500, "ServiceException"),
        (403, "UnrecognizedClientException"),
        (503, ""),
        (502, ""),
    ],
)
def test_what_lambda_answers(endpoint: Endpoint, functions: LambdaClient, status: int, code: str) -> None:
    """Its own errors, and those of what stands in front of it, are told as ever."""
    endpoint.answer = (status, b'{"message":"m"}', code)
    with pytest.raises(CommandError):
        ask(functions)
    endpoint.answer = (200, json.dumps(EMPTY).encode(), "")
    assert ask(functions) == []


def test_aws_has_a_lambda_api() -> None:
    """Whatever it answers."""
    odd = ClientError({"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": 418}}, "o")  # type: ignore[typeddict-item]
    for endpoint in (AWS, "https://lambda.cn-north-1.amazonaws.com.cn", "https://lambda.us-east-1.api.aws"):
        with pytest.raises(ClientError), naming_endpoint(endpoint):
            raise odd
    with pytest.raises(NoLambdaError), naming_endpoint("https://amazonaws.com.example.org"):
        raise odd
    with pytest.raises(ConnectionError), naming_endpoint("http://localhost:8000"):
        raise ConnectionError  # nobody answered: that says nothing of what it has
