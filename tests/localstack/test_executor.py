"""Functions as processes: one that works, one that fails, hangs, dies, or logs a lot."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack

LIMIT = 5  # seconds that an invocation may take; one that works takes a few milliseconds
CODE = """
import os, sys, time
calls = 0

def handler(event, context):
    global calls
    calls += 1
    do = event["do"]
    if do == "raise":
        raise ValueError("no such thing")
    if do == "hang":
        time.sleep(600)
    if do == "die":
        os._exit(3)
    if do == "talk":
        print("x" * 200_000)
    if do == "import":
        import boto3
    if do == "read":
        return sys.stdin.read()
    return {
        "calls": calls,
        "setting": os.environ["SETTING"],
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "name": context.function_name,
        "left": context.get_remaining_time_in_millis(),
        "folder": sorted(os.listdir()),
    }
"""


class Function:
    def __init__(self, stack: Stack, name: str) -> None:
        self._client = stack.client("lambda")
        self.name = name

    def invoke(self, do: str) -> tuple[Any, str, bool]:
        """What it returned, what it printed, and whether it failed."""
        answer = self._client.invoke(
            FunctionName=self.name, Payload=json.dumps({"do": do}).encode(), LogType="Tail"
        )
        log = base64.b64decode(answer["LogResult"]).decode()
        return json.loads(answer["Payload"].read()), log, "FunctionError" in answer


def create(stack: Stack, name: str, code: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("function.py", code)
    stack.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="function.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": archive.getvalue()},
        Timeout=LIMIT,
        Environment={"Variables": {"SETTING": "as configured"}},
    )
    stack.client("lambda").get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


@pytest.fixture
def function(stack: Stack, unique: str) -> Iterator[Function]:
    create(stack, unique, CODE)
    yield Function(stack, unique)
    stack.client("lambda").delete_function(FunctionName=unique)


@pytest.mark.usefixtures("localstack")
class TestFunctions:
    def test_it_runs_as_configured(self, stack: Stack, function: Function) -> None:
        """Its environment, its context and its own package; one process for many invocations."""
        first, _, failed = function.invoke("return")
        assert not failed
        assert 0 < first.pop("left") <= 1000 * LIMIT
        assert first == {
            "calls": 1,
            "setting": "as configured",
            "endpoint": stack.endpoint_url,
            "name": function.name,
            "folder": ["function.py"],
        }
        assert function.invoke("return")[0]["calls"] == 2

    def test_an_exception_is_its_answer(self, function: Function) -> None:
        """The traceback is in the log, and the process goes on."""
        answer, log, failed = function.invoke("raise")
        assert failed
        assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no such thing")
        assert 'raise ValueError("no such thing")' in log
        assert function.invoke("return")[0]["calls"] == 2

    @pytest.mark.parametrize(
        ("do", "reason"),
        [
            ("hang", f"Task timed out after {LIMIT}.00 seconds"),
            ("die", "Runtime exited without providing a reason"),
        ],
    )
    def test_a_function_that_does_not_answer_gets_a_new_process(
        self, function: Function, do: str, reason: str
    ) -> None:
        """As on Lambda: an error, and nothing of the old process remains."""
        answer, _, failed = function.invoke(do)
        assert failed
        assert reason in answer["errorMessage"]
        assert function.invoke("return")[0]["calls"] == 1

    def test_a_long_log_does_not_block(self, function: Function) -> None:
        """More output than a pipe holds; none of it is in the answer or in the next log."""
        answer, log, failed = function.invoke("talk")
        assert not failed
        assert answer["calls"] == 1
        assert log.count("x") > 1_000  # the tail of it, 4 KB
        assert "xxx" not in function.invoke("return")[1]

    def test_it_sees_no_package_but_its_own(self, function: Function) -> None:
        """A dependency that the package lacks is missing here, too: LocalStack's packages are not visible."""
        answer, _, failed = function.invoke("import")
        assert failed
        assert answer["errorType"] == "ModuleNotFoundError"

    def test_it_reads_no_input(self, function: Function) -> None:
        """It cannot read the requests of the next invocations."""
        assert function.invoke("read")[0] == ""
        assert function.invoke("return")[0]["calls"] == 2

    def test_a_function_that_cannot_be_imported_says_why(self, stack: Stack, unique: str) -> None:
        """The reason is the answer."""
        create(stack, unique, "import no_such_module")
        answer = stack.client("lambda").invoke(FunctionName=unique, Payload=b"{}")
        assert "no_such_module" in json.loads(answer["Payload"].read())["errorMessage"]
        stack.client("lambda").delete_function(FunctionName=unique)
