"""The shim as agents start it, against a gunicorn as production runs it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contacts.models import Workspace
from memory.models import HookPayload
from tests.factories import make_key
from tests.shim.machine import Door, Machine, wait_for


@pytest.fixture
def token(workspace: Workspace) -> str:
    return make_key(workspace)[1]


@pytest.fixture
def machine(
    tmp_path: Path, port: int, token: str, rows: Callable[..., list[Any]]
) -> Iterator[Machine]:
    home = tmp_path / "home"
    home.mkdir()
    made = Machine(home, port, token)
    yield made
    made.clean()
    # The server maps what it has answered; the rows go only when it has done so.
    wait_for(lambda: not rows(HookPayload, state="waiting"))


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Machine]:
    """A machine that never speaks to a server."""
    home = tmp_path / "home"
    home.mkdir()
    made = Machine(home, 9, "rmb_nobody")
    yield made
    made.clean()


@pytest.fixture
def door(port: int, machine: Machine) -> Iterator[Door]:
    """Shut at first; the machine knows the server by it."""
    made = Door(port)
    machine.url = f"http://127.0.0.1:{made.port}"
    machine.configure()
    yield made
    made.shut()
