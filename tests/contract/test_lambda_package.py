"""The Lambda's package as Lambda runs it: its Python, nothing but the unpacked zip, a real queue."""

from __future__ import annotations

import json
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

from deploy.errors import PackageError
from deploy.package import build_for
from deploy.target import Target
from shared.change import Change, Op
from shared.envelope import decode
from tests.other_python import find_python
from tests.support.lambda_events import in_lambda_event
from tests.support.strategies import arn, stream_record
from tests.support.tools import give_up

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues

INVOKE = """
import json, sys
sys.path.insert(0, sys.argv[1])
assert not [path for path in sys.path if "site-packages" in path], sys.path
from producer_lambda.handler import lambda_handler
class Context:
    aws_request_id = "request"
    def get_remaining_time_in_millis(self):
        return 30_000
for event in json.load(sys.stdin):
    print("answer:", json.dumps(lambda_handler(event, Context())))
places = {module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)}
print("modules:", json.dumps(sorted(places)))
"""


def unpacked(folder: Path) -> Path:
    """What `make package` makes."""
    package = folder / "package.zip"
    try:
        build_for(Target(), package)
    except PackageError as error:
        give_up(str(error))
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder / "task")
    return folder / "task"


def test_the_package_on_its_python(stack: Stack, queues: Queues, tmp_path: Path) -> None:
    """All that it imports is in it or in Python; no warning; changes and malformed records arrive."""
    python = find_python(Target().version)
    if python is None:
        give_up(f"there is no {Target().runtime}")
    task = unpacked(tmp_path)
    item = {"id": {"N": "1"}, "name": {"S": "ann"}, "raw": {"B": b"\0\xff"}, "tags": {"NS": ["1", "2.50"]}}
    key = {"id": {"N": "1"}}
    put = stream_record("INSERT", 1, key=key, new=in_lambda_event(item), eventSourceARN=arn())
    deleted = stream_record("REMOVE", 2, key=key, eventSourceARN=arn())
    broken: dict[str, Any] = {**put, "dynamodb": {**put["dynamodb"], "SequenceNumber": "none"}}
    events = [{"Records": [put, deleted]}, {"Records": [broken]}]
    result = subprocess.run(  # noqa: S603 - a Python of this machine
        [python, "-I", "-S", "-W", "error", "-c", INVOKE, str(task)],
        input=json.dumps(events),
        env={
            **stack.environment(),
            "QUEUE_URL": queues.url,
            "DEAD_LETTER_QUEUE_URL": queues.dead_letter_url,
            "LOG_LEVEL": "WARNING",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = dict(line.split(": ", 1) for line in result.stdout.splitlines() if ": " in line[:10])
    assert json.loads(told["answer"]) == {"batchItemFailures": []}
    elsewhere = [place for place in json.loads(told["modules"]) if "site-packages" in place]
    assert elsewhere == []
    sqs = stack.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=queues.url)["Messages"]
    first, second = decode(message["Body"]).entries
    assert isinstance(first, Change)
    assert isinstance(second, Change)
    assert (first.op, first.sequence, second.op, second.sequence) == (Op.PUT, "1", Op.DELETE, "2")
    assert first.image is not None
    assert first.image["name"] == "ann"
    (letter,) = sqs.receive_message(QueueUrl=queues.dead_letter_url)["Messages"]
    assert "SequenceNumber" in letter["Body"]
