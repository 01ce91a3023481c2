"""DynamoDB Local, Amazon's own emulator, on the loopback interface. LocalStack keeps its tables in it.

It is downloaded once, in the npm package with which AWS Amplify ships it, and kept in `build/`. The fault
suite uses it without LocalStack: its stream records are as DynamoDB itself makes them.
"""

import base64
import hashlib
import http
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from local import paths
from local.errors import StackError
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.server import Server, answers

PACKAGE: Final = "amplify-dynamodb-simulator"
PACKAGE_VERSION: Final = "2.9.30"  # has DynamoDB Local 1.25.1
# As the npm registry gives it (`npm view PACKAGE@VERSION dist.integrity`).
SHA512: Final = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
WITHIN_PACKAGE: Final = PurePosixPath("package/emulator")
FOLDER: Final = paths.ROOT / "build" / f"dynamodb-local-{PACKAGE_VERSION}"

JAVA_NEEDED: Final = 17
INSTALL_JAVA: Final = "On Debian and Ubuntu: apt-get install openjdk-17-jre-headless"
INSTALL_NPM: Final = "On Debian and Ubuntu: apt-get install npm"
SERVER: Final = Path(__file__).with_name("dynamodb_local_server.py")
PREFERRED_PORT: Final = 8000


def find_java(search_path: str | None = None) -> Path:
    """The home of a Java that runs DynamoDB Local: JAVA_HOME, or the home of the `java` on PATH.

    Args:
        search_path: Folders to search, in the form of PATH; by default PATH itself.

    Raises:
        StackError: There is no Java, or it is too old.
    """
    named = os.environ.get("JAVA_HOME", "")
    java = f"{named}/bin/java" if named else shutil.which("java", path=search_path)
    if not java:
        raise StackError(f"DynamoDB Local needs Java {JAVA_NEEDED}, and there is no java. {INSTALL_JAVA}")
    command = [java, "-XshowSettings:properties", "-version"]
    try:
        shown = subprocess.run(  # noqa: S603 - a program of the machine's own choice, no shell
            command, capture_output=True, text=True, check=True, env=base_environment()
        ).stderr
    except (OSError, subprocess.CalledProcessError) as error:
        raise StackError(f"{java} does not run: {error}. {INSTALL_JAVA}") from error
    settings = dict(re.findall(r"^ +(java\.home|java\.specification\.version) = (.+)$", shown, re.MULTILINE))
    version = settings["java.specification.version"]
    if int(version.partition(".")[0]) < JAVA_NEEDED:
        raise StackError(f"DynamoDB Local needs Java {JAVA_NEEDED}; {java} is Java {version}. {INSTALL_JAVA}")
    return Path(settings["java.home"])


def install(folder: Path = FOLDER) -> Path:
    """The folder with the program, downloaded through npm if it does not exist yet.

    Raises:
        StackError: npm is missing or fails, or the package is not the one that is expected.
    """
    if folder.exists():
        return folder
    npm = shutil.which("npm")
    if not npm:
        raise StackError(f"DynamoDB Local is downloaded by npm, and there is no npm. {INSTALL_NPM}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="dynamodb-local-") as scratch:
        # `npm pack` downloads one package and runs no code of it.
        fetched = subprocess.run(  # noqa: S603 - a program of the machine's own choice, no shell
            [npm, "pack", f"{PACKAGE}@{PACKAGE_VERSION}", "--silent"],
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if fetched.returncode != 0:
            raise StackError(f"npm cannot download {PACKAGE}@{PACKAGE_VERSION}: {fetched.stderr.strip()}")
        unpacked = unpack(Path(scratch) / f"{PACKAGE}-{PACKAGE_VERSION}.tgz", SHA512)
        try:
            unpacked.rename(folder)
        except OSError:
            if not folder.exists():  # another run may have been faster
                raise
    return folder


def unpack(archive: Path, sha512: str) -> Path:
    """Unpack the program beside its package, and return its folder.

    Args:
        archive: The npm package.
        sha512: Its expected hash in base64, as npm writes it.

    Raises:
        StackError: The hash is another one.
    """
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != sha512:
        raise StackError(f"{archive.name} is not the expected file: its sha512 is {digest}.")
    with tarfile.open(archive) as package:
        package.extractall(archive.parent, filter="data")
    return archive.parent / WITHIN_PACKAGE


def prepare() -> tuple[Path, Path]:
    """Check what it needs, download it if necessary, and return the homes of Java and of the program.

    This may take a minute the first time, and a second afterwards.

    Raises:
        StackError: Something is missing; the message says what to install.
    """
    if not paths.STACK_PYTHON.exists():
        raise StackError(
            f"There is no {paths.STACK_PYTHON}: `make test` builds it from requirements/stack.txt."
        )
    return find_java(), install()


class DynamoDBLocal(Server):
    """One running DynamoDB Local. Its tables are in memory, and end with it."""

    def __init__(self, folder: Path) -> None:
        """Start it.

        Args:
            folder: Existing folder for its log.

        Raises:
            StackError: Something is missing that it needs; the message says what to install.
        """
        java_home, program = prepare()
        self._lease = ports.free_port(PREFERRED_PORT)
        self.port = self._lease.number
        self.endpoint_url = f"http://{ports.HOST}:{self.port}"
        self.child = Child(
            "DynamoDB Local",
            [paths.STACK_PYTHON, SERVER, program, ports.HOST, str(self.port)],
            environment=base_environment() | {"JAVA_HOME": str(java_home)},
            log=folder / "dynamodb-local.log",
            directory=folder,
        )

    def wait(self) -> None:
        self.child.wait_until(
            # It refuses a request without a signature, but then it is up.
            lambda: answers(ports.HOST, self.port, "/", status=http.HTTPStatus.BAD_REQUEST),
            what="DynamoDB Local to answer requests",
        )
