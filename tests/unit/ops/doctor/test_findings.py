"""What a list of findings means, and that no check hides another."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.console.terminal import Output
from ops.doctor.findings import Finding, Report, Section, State, not_well, unknown, well
from ops.doctor.looking import CHECK_NETWORK, has_mistake, look
from ops.doctor.target import Address, address_of
from ops.doctor.view import print_report


@pytest.mark.parametrize(
    ("findings", "state", "as_json"),
    [
        ([], State.WELL, True),
        ([well("a", "A.")], State.WELL, True),
        ([well("a", "A."), unknown("b", "B.", "Do.")], State.UNKNOWN, None),
        ([unknown("b", "B.", "Do."), not_well("c", "C.", "Do.")], State.NOT_WELL, False),
    ],
)
def test_what_is_not_known_is_not_well(findings: list[Finding], state: State, as_json: bool | None) -> None:  # noqa: FBT001
    report = Report([Section("S", findings)])
    assert (report.state, report.data()["well"]) == (state, as_json)


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret"}}, "GetX")


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (refusal("AccessDeniedException"), State.UNKNOWN, "the permission s:GetX is missing"),
        (refusal("ResourceNotFoundException"), State.NOT_WELL, "The thing does not exist"),
        (refusal("InternalFailure"), State.UNKNOWN, "bug"),
        (CommandError("no answer"), State.UNKNOWN, "The thing: no answer."),
        (KeyError("secret"), State.UNKNOWN, "KeyError"),
    ],
)
def test_what_a_check_raises_is_a_finding(error: Exception, state: State, said: str) -> None:
    def fail() -> list[Finding]:
        raise error

    (found,) = look("thing", "The thing", "s:GetX", fail)
    assert found.state is state
    assert said in found.text
    assert found.advice
    assert "secret" not in found.text
    assert has_mistake([found]) is ("bug" in found.text)


def test_what_to_do_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """An AWS that is away is the reason of many lines, and nothing helps but one thing."""

    def fail() -> list[Finding]:
        with asking("asking for it"):
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9/")

    found = [each for name in ("The one", "The other") for each in look("thing", name, "s:GetX", fail)]
    assert {each.advice for each in found} == {CHECK_NETWORK}
    print_report(Output(), Report([Section("S", found), Section("T", [well("a", "A."), *found])]))
    shown = capsys.readouterr().out
    assert shown.count("Could not connect") == 4
    assert shown.lower().count("check") == 1


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mongodb://127.0.0.1:1/?replicaSet=r", Address("127.0.0.1:1", is_encrypted=False, is_local=True)),
        ("mongodb://localhost/", Address("localhost:27017", is_encrypted=False, is_local=True)),
        ("mongodb://u:p%40@a,b:3/?tls=true", Address("a:27017, b:3", is_encrypted=True, is_local=False)),
        (
            "mongodb://127.0.0.1,b/?ssl=true",
            Address("127.0.0.1:27017, b:27017", is_encrypted=True, is_local=False),
        ),
        ("mongodb+srv://u:p@c.example/", Address("c.example", is_encrypted=True, is_local=False)),
        ("mongodb+srv://c.example/?tls=false", Address("c.example", is_encrypted=False, is_local=False)),
        ("mongodb+srv://C.example/?ssl=False&w=1", Address("c.example", is_encrypted=False, is_local=False)),
    ],
)
def test_what_a_connection_string_says(uri: str, address: Address) -> None:
    """Without asking a DNS; and never user or password."""
    assert address_of(uri) == address
