"""Others' agents as users run them: a scratch HOME, a server under gunicorn, a model of ours.

`make test-real` installs the agents from npm and says where (REAL_NPM); without it, or without an
agent, its tests are skipped and say so.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from config.embedded.temporary import TemporaryUrls
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import HookPayload, Memory
from memory.services.hooks import map_waiting
from sessions.models import Session, SessionEvent
from tests.factories import make_key, make_memory
from tests.gunicorn import WebServer
from tests.real.model import Model
from tests.real.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
FOLDER = os.environ.get("REAL_NPM", "")
BIN = Path(FOLDER) / "node_modules" / ".bin"
SHIM = ROOT / "integrations" / "shim" / "remember.py"
RUN_SECONDS, WAIT_SECONDS = 60, 30
T = TypeVar("T")
# What a prompt and its answer leave.
ASKED = ["user_prompt", "turn_end"]
# Of every file here.
real = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="needs agents from npm: run by `make test-real`"),
]


def program(name: str) -> str:
    """The path of an installed agent, or the test is skipped."""
    if not (BIN / name).exists():
        pytest.skip(f"npm could not install {name}")
    return str(BIN / name)


@pytest.fixture
def server(transactional_db: None, database_server: TemporaryUrls) -> Iterator[WebServer]:
    running = WebServer(database_server)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def model() -> Iterator[Model]:
    with Model.serving() as fake:
        yield fake


@pytest.fixture
def known(workspace: Workspace) -> Memory:
    """What is there to be recalled when somebody asks for the pump."""
    with workspace_scope(workspace.pk):
        return make_memory("The pump starts at noon, never before.")


@pytest.fixture
def token(workspace: Workspace) -> str:
    return make_key(workspace)[1]


@dataclass
class Desk:
    """Where an agent works: its HOME, its folder, its environment."""

    home: Path
    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | more, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=RUN_SECONDS,
        )  # fmt: skip

    def must(self, *command: str, **more: str) -> str:
        """What it prints; it must not fail."""
        done = self.run(*command, **more)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A HOME with nothing in it, and nothing of this machine's but its programs."""
    home, folder = tmp_path / "home", tmp_path / "greenhouse"
    home.mkdir()
    folder.mkdir()
    return Desk(
        home,
        folder,
        {
            "HOME": str(home),
            "PATH": f"{BIN}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            # What is not delivered by then is delivered with the next hook.
            "REMEMBRANCER_SHIM_PATIENCE": "10",
        },
    )


class Rows:
    """What is in the database, once all that has arrived is mapped."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace_id = workspace.pk

    def __call__(self, model: type[Any], **wanted: Any) -> list[Any]:
        map_waiting(self.workspace_id, seconds=WAIT_SECONDS)
        with workspace_scope(self.workspace_id):
            return list(model.objects.filter(**wanted).order_by("id"))

    def until(self, found: Callable[[], T]) -> T:
        """The first thing found that is true: what goes in the background takes its time."""
        limit = time.monotonic() + WAIT_SECONDS
        while not (value := found()) and time.monotonic() < limit:
            time.sleep(0.1)
        assert value
        return value

    def heard(self, *events: str) -> list[HookPayload]:
        """The payloads of these events, in the order in which they came."""
        return self(HookPayload, event__in=events)

    def mapped(self) -> bool:
        """Whether all that has come is; the server maps what came last once it has answered."""
        return {row.state for row in self(HookPayload)} == {"mapped"}

    def events(self, session: Session) -> list[str]:
        return [row.event_type for row in self(SessionEvent, session=session)]

    def sessions(self, count: int) -> list[Session]:
        """As many, of one conversation."""
        found = self(Session)
        assert len(found) == count
        assert len({row.conversation_id for row in found}) == 1
        return found


@dataclass
class Talk:
    """A person's talk with an agent in its terminal; `turn` is the event that ends an answer."""

    terminal: Terminal
    model: Model
    rows: Rows
    turn: str

    def after(self, line: str, event: str) -> None:
        """Type a line, and wait until the payload that follows from it has come."""
        before = len(self.rows.heard(event))
        self.terminal.type(line)
        self.rows.until(lambda: len(self.rows.heard(event)) > before)

    def ask(self, question: str, answer: str) -> None:
        self.model.plan[question] = [answer]
        self.after(question, self.turn)

    def leave(self, command: str, ends: int) -> None:
        """End the program, which says so that often, and wait until all is mapped."""
        self.terminal.type(command)
        assert self.terminal.end() == 0
        self.rows.until(lambda: len(self.rows.heard("SessionEnd")) == ends)
        self.rows.until(self.rows.mapped)


@pytest.fixture
def rows(workspace: Workspace) -> Rows:
    return Rows(workspace)


def settings_of(desk: Desk, server: WebServer, token: str) -> None:
    """The address and the key, where the shim and the plugins look for them."""
    folder = desk.home / ".config" / "remembrancer"
    folder.mkdir(parents=True)
    path = folder / "config.json"
    path.write_text(json.dumps({"url": server.url, "key": token}))
    path.chmod(0o600)
