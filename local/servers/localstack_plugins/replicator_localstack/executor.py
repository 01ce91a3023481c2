"""Runs Python functions of LocalStack's Lambda: each execution environment is a process, and no container.

LAMBDA_RUNTIME_EXECUTOR=process selects it, LAMBDA_PROCESS_PYTHON names the interpreter. A function gets what
it gets on Lambda: its own package and the standard library, its environment variables, the context object, a
time limit, and a new process after it exceeded that limit or died. Layers, images, other languages, and
limits of memory and disk are not supported.
"""

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localstack import config
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

LOG = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("worker.py")
PYTHON = os.environ["LAMBDA_PROCESS_PYTHON"]
# The variables of LocalStack that a function inherits; all others come from its configuration.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
HOST = "127.0.0.1"
INIT_TIMEOUT_S = 10.0  # Lambda's own limit for the initialisation of a function
CHUNK = 1 << 16


@dataclass(frozen=True)
class Exchange:
    """What came back from a worker.

    Attributes:
        reply: None if it ended or the time was over.
        log: What it printed meanwhile.
    """

    reply: dict[str, Any] | None
    timed_out: bool
    log: str


class FunctionProcess:
    """One running worker. Requests go to its standard input; replies and its log come through two pipes."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start it.

        Args:
            environment: Its whole environment; LAMBDA_TASK_ROOT is the folder of the function's code.
        """
        replies, child_end = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a command line of our own, no shell
                # As in Lambda: no packages of LocalStack's environment, and no user settings.
                [PYTHON, "-I", "-S", "-B", "-u", str(WORKER), str(child_end)],
                cwd=environment["LAMBDA_TASK_ROOT"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(child_end,),
                start_new_session=True,  # so that what the function starts is stopped with it
            )
        finally:
            os.close(child_end)
        assert self._process.stdin  # noqa: S101 - for the type checker
        assert self._process.stdout  # noqa: S101 - likewise
        self._requests = self._process.stdin
        self._log = self._process.stdout
        self._replies = open(replies, "rb", buffering=0)  # noqa: SIM115, PTH123 - closed in `stop`
        os.set_blocking(self._log.fileno(), False)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, request: dict[str, Any]) -> None:
        """Send it a request.

        Raises:
            BrokenPipeError: It has ended.
        """
        self._requests.write(json.dumps(request).encode() + b"\n")
        self._requests.flush()

    def receive(self, timeout_s: float) -> Exchange:
        """Wait for its next reply."""
        deadline = time.monotonic() + timeout_s
        reply, log, timed_out = b"", b"", False
        with selectors.DefaultSelector() as selector:
            selector.register(self._replies, selectors.EVENT_READ)
            selector.register(self._log, selectors.EVENT_READ)
            while not reply.endswith(b"\n"):
                ready = [key.fileobj for key, _ in selector.select(max(0.0, deadline - time.monotonic()))]
                if not ready:
                    timed_out = True
                    break
                if self._log in ready:
                    if printed := self._printed():
                        log += printed
                    else:  # closed
                        selector.unregister(self._log)
                if self._replies in ready:
                    if not (chunk := os.read(self._replies.fileno(), CHUNK)):
                        break
                    reply += chunk
        # It flushes its output before it replies, so all of it is in the pipe now.
        while printed := self._printed():
            log += printed
        parsed = json.loads(reply) if reply.endswith(b"\n") else None
        return Exchange(parsed, timed_out, log.decode("utf-8", "replace"))

    def _printed(self) -> bytes:
        """What is in its output pipe; nothing if that is empty or closed."""
        try:
            return os.read(self._log.fileno(), CHUNK)
        except BlockingIOError:
            return b""

    def stop(self) -> None:
        """Kill it, and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._requests, self._log, self._replies):
            with contextlib.suppress(BrokenPipeError):  # the worker never read a request
                pipe.close()


class ProcessExecutor(RuntimeExecutor):
    """One execution environment of a function. LocalStack gives it one invocation at a time."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 - LocalStack's name
        super().__init__(id, function_version)
        self._environment: dict[str, str] = {}
        self._process: FunctionProcess | None = None
        self._log = ""

    def start(self, env_vars: dict[str, Any]) -> None:
        """Start the process and import the function.

        Raises:
            StatusErrorException: The function could not be imported in ten seconds.
        """
        code = str(self.function_version.config.code.get_unzipped_code_location())
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        given = {name: str(value) for name, value in env_vars.items()}
        self._environment = inherited | given | {"LAMBDA_TASK_ROOT": code}
        self._process = self._spawn()

    def _spawn(self) -> FunctionProcess:
        process = FunctionProcess(self._environment)
        hello = process.receive(INIT_TIMEOUT_S)
        if hello.reply != {"ready": True}:
            process.stop()
            error = hello.reply or {
                "errorType": "Runtime.ExitError",
                "errorMessage": f"not initialised in {INIT_TIMEOUT_S:g} s, or exited",
            }
            LOG.warning("%s: %s", self.function_version.id.function_name, hello.log)
            raise StatusErrorException("Environment startup failed", payload=json.dumps(error).encode())
        return process

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Run the function once, in a new process if the last one has ended."""
        request_id, limit = payload["invoke-id"], self.function_version.config.timeout
        if self._process is None or not self._process.running:
            self.stop()
            self._process = self._spawn()
        began = time.monotonic()
        self._process.send(
            {
                "request_id": request_id,
                "arn": payload["invoked-function-arn"],
                "event": payload["payload"],
                "deadline": time.time() + limit,
            }
        )
        exchange = self._process.receive(limit)
        reply = exchange.reply
        if reply is None:
            self.stop()
            # In Lambda's words.
            kind, reason = "Runtime.ExitError", "Runtime exited without providing a reason"
            if exchange.timed_out:
                kind, reason = "Sandbox.Timedout", f"Task timed out after {limit:.2f} seconds"
            error = {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {reason}"}
            reply = {"error": True, "payload": json.dumps(error)}
        self._log = (
            f"START RequestId: {request_id} Version: {self.function_version.id.qualifier}\n{exchange.log}"
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {(time.monotonic() - began) * 1000:.2f} ms\n"
        )
        if reply["error"]:
            LOG.warning("%s: %s%s", self.function_version.id.function_name, exchange.log, reply["payload"])
        return InvocationResult(request_id, reply["payload"].encode(), reply["error"], self._log)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.stop()

    def get_logs(self) -> str:
        """The log of the last invocation."""
        return self._log

    def get_address(self) -> str:
        return HOST

    def get_endpoint_from_executor(self) -> str:
        """The host at which the function reaches LocalStack."""
        return HOST

    def get_runtime_endpoint(self) -> str:
        """Required by `RuntimeExecutor`, and never called: replies come through a pipe."""
        return f"http://{HOST}:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the function's code."""
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Do nothing: LocalStack removes the code itself."""


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """LAMBDA_RUNTIME_EXECUTOR=process."""

    name = "process"

    def load(self, *_: object, **__: object) -> type[ProcessExecutor]:
        return ProcessExecutor
