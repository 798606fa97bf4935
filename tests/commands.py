"""`manage.py` as a process, as an operator runs it, with the settings that a test names."""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.factories import ROOT

# Bytes that a file may have where there is no room for more.
SMALL_DISK = 20_000


def manage(
    *command: str,
    limited: bool = False,
    output: Any = None,
    program: Sequence[str] = ("manage.py",),
    **environment: str,
) -> "subprocess.CompletedProcess[str]":
    """Run to its end, with nothing of this process's environment but where programs are."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, SMALL_DISK))

    return subprocess.run(
        [sys.executable, *program, *command],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "REMEMBRANCER_EMBEDDING_PROVIDER": "none",
            **environment,
        },
        stdout=output or subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=limit if limited else None,
    )


def well(done: "subprocess.CompletedProcess[str]") -> str:
    """What it said; it must have succeeded."""
    assert done.returncode == 0, (done.stdout, done.stderr)
    return str(done.stdout)


def refusal(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line with which it refused."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    (line,) = done.stderr.strip().splitlines()
    return str(line)
