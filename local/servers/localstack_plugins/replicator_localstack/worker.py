"""Runs one Python handler as Lambda does: requests are JSON lines on standard input, replies go to a pipe.

    python -I -S -B -u worker.py REPLY_DESCRIPTOR

Run by path, standard library only. Standard output and error are the function's log. The process ends with
its input, and so with LocalStack, even if that is killed.
"""

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any, TextIO


class Context:
    """The context object, with the attributes that Lambda's documentation names.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id = request["request_id"]
        self.invoked_function_arn = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline = request["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the function."""
        return max(0, int((self._deadline - time.time()) * 1000))


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as Lambda reports it."""
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def send(replies: TextIO, reply: dict[str, Any]) -> None:
    """Send the reply after everything that was printed before it."""
    sys.stdout.flush()
    sys.stderr.flush()
    replies.write(json.dumps(reply) + "\n")


def main() -> None:
    """Import the handler, report that, and serve until the input ends."""
    replies = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    requests = os.fdopen(os.dup(0), "r")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a function must not read the requests
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    except BaseException as error:  # noqa: BLE001 - a SystemExit, too, is a function that cannot be imported
        traceback.print_exc()
        send(replies, describe(error))
        sys.exit(1)
    send(replies, {"ready": True})
    for line in requests:
        request = json.loads(line)
        try:
            answer = handler(json.loads(request["event"] or "{}"), Context(request))
            reply = {"error": False, "payload": json.dumps(answer)}
        except Exception as error:  # noqa: BLE001 - any exception is the answer
            traceback.print_exc()
            reply = {"error": True, "payload": json.dumps(describe(error))}
        send(replies, reply)


if __name__ == "__main__":
    main()
