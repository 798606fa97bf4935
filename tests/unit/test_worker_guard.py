"""The guard beside a command: it says how the command ended, and ends it with the lease."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sessions.runner.child import GUARD

LONG, SHORT, GRACE = "600", "0.2", "0.1"
STUBBORN = "trap '' TERM; echo on; sleep 600; sleep 600"


@dataclass
class Guarded:
    process: "subprocess.Popen[bytes]"
    leash: int
    status: int

    def said(self) -> str:
        """What it says at the end; everything it guards is gone when its output ends."""
        assert self.process.stdout is not None
        self.process.stdout.read()
        return os.read(self.status, 1000).decode()


@pytest.fixture
def guard() -> Iterator[list[Guarded]]:
    started: list[Guarded] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()
        one.process.stdout.close()
        os.close(one.status)


def start(guard: list[Guarded], seconds: str, *command: str) -> Guarded:
    leash, ours = os.pipe()
    status, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(leash), str(theirs), seconds, GRACE, *command],
        stdout=subprocess.PIPE,
        pass_fds=(leash, theirs),
        start_new_session=True,
    )
    os.close(leash)
    os.close(theirs)
    guard.append(Guarded(process, ours, status))
    return guard[-1]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["true"], "exit 0"),
        (["sh", "-c", "exit 7"], "exit 7"),
        (["sh", "-c", "kill -9 $$"], "exit -9"),
        (["/no/such/program"], "start [Errno 2] No such file or directory: '/no/such/program'"),
        # What is left behind would hold the output open for ten minutes.
        (["sh", "-c", "sleep 600 & exit 0"], "exit 0"),
    ],
)
def test_it_says_how_the_command_ended(guard, command, said):
    one = start(guard, LONG, *command)
    assert one.said() == said
    os.close(one.leash)


@pytest.mark.parametrize("command", [["sleep", "600"], ["sh", "-c", STUBBORN]])
def test_the_command_is_ended_when_the_lease_is(guard, command):
    one = start(guard, SHORT, *command)
    assert one.said() == "late"
    os.close(one.leash)


@pytest.mark.parametrize("command", [["sleep", "600"], ["sh", "-c", STUBBORN]])
def test_the_command_is_ended_when_the_runner_is_gone(guard, command):
    one = start(guard, LONG, *command)
    os.close(one.leash)
    assert one.said() == "late"


def test_a_lease_that_is_prolonged_and_then_not_any_more(guard):
    one = start(guard, LONG, "sh", "-c", STUBBORN)
    assert one.process.stdout.readline() == b"on\n"
    os.write(one.leash, b"500\n400\n")
    os.write(one.leash, b"nonsense\n")
    assert one.process.poll() is None
    os.write(one.leash, b"0.2\n")
    assert one.said() == "late"
    os.close(one.leash)
