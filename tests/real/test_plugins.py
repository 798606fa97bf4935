"""The plugins for OpenCode and Amp, loaded by node, which plays the host's part (host.mjs)."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.lib.recalled import OPEN
from memory.models import HookPayload
from sessions.models import Message, Session, SessionEvent
from tests.real.conftest import BIN, ROOT, Desk, Rows, program, real, settings_of

pytestmark = real
FILES = {
    "opencode": ROOT / "integrations" / "opencode" / "remembrancer.js",
    "amp": ROOT / "integrations" / "amp" / "remembrancer.ts",
}
SES, THREAD = "ses_4f1e", {"id": "T-4f1e"}


class Host:
    """One run of an agent with its plugin."""

    def __init__(self, desk: Desk, kind: str) -> None:
        command = [program("node"), str(Path(__file__).with_name("host.mjs")), kind]
        self.process = subprocess.Popen(
            [*command, str(FILES[kind])], cwd=desk.folder, env=desk.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._read() == "ready\n"

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def step(self, name: str, *given: Any) -> Any:
        """What the plugin answers to one hook."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *given]) + "\n")
        self.process.stdin.flush()
        return json.loads(self._read())


Starting = Callable[[str], Host]


@pytest.fixture
def host(desk: Desk) -> Iterator[Starting]:
    hosts: list[Host] = []

    def start(kind: str) -> Host:
        hosts.append(Host(desk, kind))
        return hosts[-1]

    yield start
    for one in hosts:
        one.process.kill()
        one.process.communicate()


def begin_opencode(agent: Host) -> Any:
    """A session's start and its first prompt: the prompt's parts as they go to the model."""
    info = {"id": SES, "title": "New session", "directory": "/home/vera/greenhouse"}
    event = {"type": "session.created", "properties": {"sessionID": SES, "info": info}}
    agent.step("event", {"event": event})
    part = {"id": "prt_1", "type": "text", "text": "When does the pump start?"}
    given = {"message": {"id": "msg_1", "role": "user"}, "parts": [part]}
    answer = agent.step("chat.message", {"sessionID": SES, "messageID": "msg_1"}, given)
    return answer["parts"]


def finish_opencode(agent: Host) -> None:
    call = {"tool": "bash", "sessionID": SES, "callID": "call_1"}
    agent.step("tool.execute.before", call, {"args": {"command": "date"}})
    done = {"title": "date", "output": "noon", "metadata": {"exit": 0}}
    agent.step("tool.execute.after", {**call, "args": {"command": "date"}}, done)
    said = [{"type": "text", "text": "At noon."}]
    agent.step("messages", [{"info": {"role": "assistant"}, "parts": said}])
    agent.step("event", {"event": {"type": "session.idle", "properties": {"sessionID": SES}}})
    # Of these there are hundreds, and nobody needs them.
    agent.step("event", {"event": {"type": "message.part.updated", "properties": {"part": {}}}})


def begin_amp(agent: Host) -> Any:
    agent.step("session.start", {"thread": THREAD})
    prompt = {"thread": THREAD, "id": "M-1", "message": "When does the pump start?"}
    answer = agent.step("agent.start", prompt)
    return [] if answer is None else [{}, {"text": answer["message"]["content"]}]


def finish_amp(agent: Host) -> None:
    call = {"thread": THREAD, "toolUseID": "toolu_1", "tool": "Bash", "input": {"cmd": "date"}}
    agent.step("tool.result", {**call, "status": "done", "output": "noon"})
    said = {"role": "assistant", "content": [{"type": "text", "text": "At noon."}]}
    end = {"thread": THREAD, "id": "M-1", "status": "done", "messages": [said]}
    agent.step("agent.end", end)


BEGIN = {"opencode": begin_opencode, "amp": begin_amp}
FINISH = {"opencode": finish_opencode, "amp": finish_amp}
TOLD = [
    "session_start", "user_prompt", "tool_use", "tool_result", "turn_end", "session_end",
]  # fmt: skip


def check(rows: Rows, kind: str) -> None:
    rows.until(lambda: rows(SessionEvent, event_type="session_end"))
    (session,) = rows(Session)
    assert session.source == kind
    assert session.external_id in (SES, THREAD["id"])
    assert [row.event_type for row in rows(SessionEvent)] == TOLD
    said = [(m.role, m.content) for m in rows(Message) if m.role != "tool"]
    assert said == [("user", "When does the pump start?"), ("assistant", "At noon.")]
    assert {row.state for row in rows(HookPayload)} == {"mapped"}


def test_the_plugin_for_amp_is_sound_typescript(desk):
    options = "--noEmit --strict --target es2023 --lib es2023,dom --module esnext --types node"
    types = ["--moduleResolution", "bundler", "--typeRoots", str(BIN.parent / "@types")]
    desk.must(program("tsc"), *options.split(), *types, str(FILES["amp"]))


@pytest.mark.parametrize("kind", FILES)
def test_a_session_is_known_and_a_prompt_is_told_what_is_known(
    host, desk, server, token, known, rows, kind
):
    settings_of(desk, server, token)
    agent = host(kind)
    parts = BEGIN[kind](agent)
    assert parts[-1]["text"].startswith(OPEN)
    assert known.text in parts[-1]["text"]
    FINISH[kind](agent)
    agent.step("dispose")
    check(rows, kind)


@pytest.mark.parametrize("kind", FILES)
def test_while_the_server_is_away_the_agent_goes_on_and_nothing_is_lost(
    host, desk, server, token, rows, kind
):
    settings_of(desk, server, token)
    server.kill()
    agent = host(kind)
    assert len(BEGIN[kind](agent)) < 2
    FINISH[kind](agent)
    server.start()
    rows.until(lambda: len(rows(SessionEvent)) == len(TOLD) - 1)
    agent.step("dispose")
    check(rows, kind)


@pytest.mark.parametrize(
    ("root", "cwd"),
    [
        ("file:///srv/green%20house", "/srv/green house"),
        (None, ""),
        ("https://greenhouse.example/srv", ""),
    ],
)
def test_amp_works_in_the_folder_that_it_says(host, desk, server, token, rows, root, cwd):
    settings_of(desk, server, token)
    desk.environment["AMP_ROOT"] = json.dumps(root)
    begin_amp(host("amp"))
    rows.until(lambda: rows(SessionEvent, event_type="user_prompt"))
    (session,) = rows(Session)
    assert session.cwd == cwd


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize(
    "wrong",
    [None, "{", {"url": "http://greenhouse.example", "key": "k"}, {"url": 7, "key": []}],
    ids=["nothing", "half a file", "a key in the clear", "of other types"],
)
def test_without_settings_that_make_sense_it_does_nothing(host, desk, kind, wrong):
    if wrong is not None:
        folder = desk.home / ".config" / "remembrancer"
        folder.mkdir(parents=True)
        text = wrong if isinstance(wrong, str) else json.dumps(wrong)
        (folder / "config.json").write_text(text)
    agent = host(kind)
    assert len(BEGIN[kind](agent)) < 2
    FINISH[kind](agent)
    agent.step("dispose")


@pytest.mark.parametrize("kind", FILES)
def test_the_files_key_does_not_go_to_an_address_of_the_environment(
    host, desk, server, model, token, kind
):
    settings_of(desk, server, token)
    desk.environment["REMEMBRANCER_URL"] = model.url
    BEGIN[kind](host(kind))
    assert model.asked == []


@pytest.mark.parametrize("kind", FILES)
def test_what_a_host_may_never_give_breaks_nothing(host, desk, server, token, kind):
    settings_of(desk, server, token)
    agent = host(kind)
    names = {
        "opencode": ["event", "chat.message", "tool.execute.before", "tool.execute.after"],
        "amp": ["session.start", "agent.start", "tool.result", "agent.end"],
    }
    for name in names[kind]:
        for given in (None, {}, {"event": None}, {"thread": None}):
            assert agent.step(name, given, None) is None
