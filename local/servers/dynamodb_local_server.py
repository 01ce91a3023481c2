"""DynamoDB Local in this process, bound to one address. Run by path, with the Python of .venv-stack.

    python dynamodb_local_server.py FOLDER HOST PORT

The command line of DynamoDB Local has no option for the address, and opens the port on every interface. So
this module makes the server object as that command line does, and sets the address before the start. JPype
runs Java in this Python process.
"""

import signal
import sys
from pathlib import Path

import jpype

MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
HEAP = "-Xmx256m"


def main() -> None:
    """Serve until a signal ends the process."""
    folder, host, port = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    jpype.startJVM(
        HEAP,
        f"-Djava.library.path={folder / 'DynamoDBLocal_lib'}",
        classpath=[str(folder / "DynamoDBLocal.jar")],
    )
    arguments = ["-inMemory", "-disableTelemetry", "-port", port]
    proxy = jpype.JClass(MAIN).createServerFromCommandLineArgs(arguments)
    field = proxy.getClass().getDeclaredField("server")
    field.setAccessible(True)
    for connector in field.get(proxy).getConnectors():
        connector.setHost(host)
    proxy.start()
    signal.pause()


if __name__ == "__main__":
    main()
