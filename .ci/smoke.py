"""What a new user does, on a free port and a new data directory, with the standard library only.

make run -> sign of life -> import a transcript -> find it by the API -> save a memory -> kill -9
-> make run again -> it is all there -> stop. Prints what it did; any step that fails ends it.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SESSION = "7d1c2a9e-5a53-4b0f-9a43-1f0c5de0c111"
START_SECONDS = 300  # the first start installs everything
MEMORY = "Marisol waters the ferns at dawn."
SENTENCE = "The irrigation controller reboots when the humidity sensor reports ninety-nine percent"


def transcript(folder: Path) -> Path:
    """A Claude Code session of two messages, as its files look."""
    project = folder / "-home-marisol-greenhouse"
    project.mkdir(parents=True)
    common = {
        "sessionId": SESSION, "cwd": "/home/marisol/greenhouse", "gitBranch": "main",
        "version": "2.1.14", "isSidechain": False, "userType": "external",
    }  # fmt: skip
    user = common | {
        "type": "user", "uuid": "11111111-0000-4000-8000-000000000001", "parentUuid": None,
        "timestamp": "2026-03-01T09:00:00.000Z",
        "message": {"role": "user", "content": f"{SENTENCE}. Why?"},
    }  # fmt: skip
    answer = common | {
        "type": "assistant", "uuid": "11111111-0000-4000-8000-000000000002",
        "parentUuid": user["uuid"], "timestamp": "2026-03-01T09:00:05.000Z",
        "requestId": "req_1",
        "message": {
            "id": "msg_1", "role": "assistant", "model": "claude-test", "type": "message",
            "content": [{"type": "text", "text": "The reading overflows a byte."}],
            "usage": {"input_tokens": 10, "output_tokens": 7},
        },
    }  # fmt: skip
    path = project / f"{SESSION}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (user, answer)))
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One `make run`."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            ["make", "--silent", "run"],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        self.printed: list[str] = []

    def wait(self) -> None:
        """Until it has printed its address and answers."""
        assert self.process.stdout is not None
        limit = time.monotonic() + START_SECONDS
        for line in self.process.stdout:
            self.printed.append(line)
            print("   |", line, end="", flush=True)
            # The last line of the greeting.
            if line.startswith("Ctrl-C") and self.answers():
                return
            if time.monotonic() > limit:
                break
        sys.exit("make run ended without becoming ready")

    def answers(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)

    def stop(self, how: int) -> None:
        """End it and wait until nothing of it is left: all that serve hold its output open."""
        os.killpg(self.process.pid, how)
        rest, _ = self.process.communicate(timeout=60)
        print("".join(f"   | {line}\n" for line in rest.splitlines()), end="")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                sys.exit("it was stopped and still answers")


def call(port: int, key: str, path: str, body: object | None = None) -> dict[str, object]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def find(port: int, key: str, words: str, kind: str, mode: str = "hybrid") -> dict[str, object]:
    """The first hit, waiting for the embedding job where meaning is asked for."""
    limit = time.monotonic() + 30
    while True:
        hits = call(port, key, "search", {"q": words, "kinds": [kind], "mode": mode})["hits"]
        assert isinstance(hits, list)
        if hits:
            return dict(hits[0])
        if time.monotonic() > limit:
            sys.exit(f"nothing found for {words!r}")
        time.sleep(0.2)


def first_start(server: Server, environment: dict[str, str], scratch: Path) -> str:
    """Import, search, save, search by meaning, read; returns the printed key."""
    server.wait()
    printed = re.search(r"rmb_\w+", "".join(server.printed))
    if printed is None:
        sys.exit("no API key was printed on the first start")
    key, port = printed.group(), server.port
    imported = subprocess.run(
        [ROOT / ".venv/bin/python", "manage.py", "import", "claude-code",
         transcript(scratch / "projects")],
        cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    print(imported.stdout)
    hit = find(port, key, "humidity sensor ninety-nine percent", "message")
    assert SENTENCE in str(hit["text"]), hit
    assert hit["session_id"] and hit["thread_id"], hit
    memory = call(port, key, "memories", {"text": MEMORY})
    found = find(port, key, "When do plants get their drink?", "memory", mode="semantic")
    assert found["id"] == memory["id"], found
    assert call(port, key, f"memories/{memory['id']}")["text"] == MEMORY
    return key


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="remembrancer-smoke-") as scratch:
        os.chmod(scratch, 0o755)
        environment = os.environ | {
            "PORT": str(port),
            "REMEMBRANCER_DATA_DIR": str(Path(scratch) / "data"),
        }
        server = Server(environment, port)
        try:
            key = first_start(server, environment, Path(scratch))
            print("kill -9, and again")
            server.stop(signal.SIGKILL)
            server = Server(environment, port)
            server.wait()
            hit = find(port, key, "ferns at dawn", "memory", mode="lexical")
            assert hit["text"] == MEMORY, hit
        finally:
            server.stop(signal.SIGTERM)
    print("smoke test passed")


if __name__ == "__main__":
    main()
