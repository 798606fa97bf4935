"""A thousand writes that were acknowledged, while everything that can be killed is killed: each is
there afterwards, and none is there twice."""

import http.client
import json
import re
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.embedded.layout import Paths
from config.embedded.leftovers import running_in
from tests.faults.serving import Serve, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
WRITERS, WRITES, PATIENCE = 4, 1000, 240.0
KEY = re.compile(r"rmb_\w+")


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="remembrancer-faults-"))
    yield path
    shutil.rmtree(path)
    shutil.rmtree(Paths(path).sockets, ignore_errors=True)


class Program:
    """`manage.py serve` on one port, started again when it is told to."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.running = Serve(data_dir).wait_ready()
        self.port = self.running.port
        (self.token,) = set(KEY.findall(self.running.output))

    def start_again(self) -> None:
        self.running.log.close()
        self.running = Serve(self.data_dir, PORT=str(self.port)).wait_ready()


@pytest.fixture(scope="module")
def program(data_dir: Path) -> Iterator[Program]:
    program = Program(data_dir)
    yield program
    stopped = program.running.stop()
    said = program.running.output
    program.running.log.close()
    assert stopped == 0, said
    assert not running_in(Paths(data_dir).cluster)


class Writer(threading.Thread):
    """An agent that writes one thing after another into a thread and a session of its own, and
    sends each again, with the same key, until it is acknowledged."""

    def __init__(self, program: Program, name: str, enough: Callable[[], bool]) -> None:
        super().__init__(name=name, daemon=True)
        self.port, self.token, self.enough = program.port, program.token, enough
        self.acknowledged: dict[str, list[str]] = {"messages": [], "events": [], "memories": []}
        self.refused: list[tuple[int, bytes]] = []
        self.again = 0
        self.session = self.made("/sessions", {"external_id": name})["id"]
        self.thread = self.made(f"/sessions/{self.session}/threads", {})["id"]

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def run(self) -> None:
        for number in range(WRITES):
            if self.enough():
                return
            text = f"{self.name} wrote number {number}"
            if number % 3 == 0:
                path = f"/threads/{self.thread}/messages"
                kind, body = "messages", {"role": "user", "content": text}
            elif number % 3 == 1:
                path = f"/sessions/{self.session}/events"
                kind, body = "events", {"event_type": "note", "text": text}
            else:
                kind, path, body = "memories", "/memories", {"text": text}
            if self.until_acknowledged(path, body, f"{self.name}-{number}"):
                self.acknowledged[kind].append(text)

    def until_acknowledged(self, path: str, body: Any, key: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status, answer = self.post(path, body, key)
            if 200 <= status < 300:
                return True
            if status and status < 500 and status not in (409, 429):
                self.refused.append((status, answer))
                return False
            self.again += 1
            time.sleep(0.05)
        self.refused.append((0, b"not acknowledged in time"))
        return False

    def post(self, path: str, body: Any, key: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json",
                   "Idempotency-Key": key}  # fmt: skip
        return self.asked("POST", path, json.dumps(body), headers)

    def asked(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def made(self, path: str, body: Any) -> Any:
        status, answer = self.post(path, body, f"{self.name}{path}")
        assert 200 <= status < 300, answer
        return json.loads(answer)

    def stored(self, path: str, field: str) -> Counter[str]:
        """The texts of a list, all pages of it."""
        found: Counter[str] = Counter()
        after = ""
        while True:
            joint = "&" if "?" in path else "?"
            headers = {"Authorization": f"Bearer {self.token}"}
            status, answer = self.asked("GET", f"{path}{joint}limit=200{after}", None, headers)
            assert status == 200, answer
            page = json.loads(answer)
            found.update(one[field] for one in page["items"])
            if not page["next_cursor"]:
                return found
            after = f"&cursor={page['next_cursor']}"


def written_while(
    program: Program, wanted: int, *, then: list[Callable[[], None]], name: str
) -> None:
    """Let writers write so much, with something happening after each equal part of it; then all
    that was acknowledged is looked for."""
    writers: list[Writer] = []

    def count() -> int:
        return sum(writer.count for writer in writers)

    writers.extend(Writer(program, f"{name}{n}", lambda: count() >= wanted) for n in range(WRITERS))
    for writer in writers:
        writer.start()
    for part, happens in enumerate(then, 1):
        due = part * wanted // (len(then) + 1)
        eventually(lambda due=due: count() >= due, f"{due} writes are acknowledged", PATIENCE)  # type: ignore[misc]
        happens()
    for writer in writers:
        writer.join(PATIENCE)
    assert [writer.refused for writer in writers] == [[]] * WRITERS
    assert count() >= wanted
    eventually(lambda: program.running.get("/readyz") == 200, "it is ready again")
    memories = writers[0].stored("/memories", "text")
    for writer in writers:
        found = {
            "messages": writer.stored(f"/threads/{writer.thread}/messages", "content"),
            "events": writer.stored(f"/sessions/{writer.session}/events", "text"),
            "memories": memories,
        }
        for kind, texts in writer.acknowledged.items():
            lost = [text for text in texts if not found[kind][text]]
            twice = [text for text in texts if found[kind][text] > 1]
            assert (lost, twice) == ([], []), kind


def killed(find: Callable[[], psutil.Process]) -> Callable[[], None]:
    def kill() -> None:
        process = find()
        process.kill()
        eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE,
                   "it is gone")  # fmt: skip

    return kill


def test_nothing_that_was_acknowledged_is_lost_whatever_is_killed(program: Program) -> None:
    def supervisor() -> None:
        program.running.process.send_signal(signal.SIGKILL)
        program.running.wait()
        program.start_again()

    def child(word: str) -> Callable[[], psutil.Process]:
        def find() -> psutil.Process:
            def there() -> bool:
                commands = [child.cmdline() for child in program.running.children()]
                return any(word in part for command in commands for part in command)

            eventually(there, f"{word} runs")
            return program.running.child(word)

        return find

    def web_worker() -> psutil.Process:
        master = child("gunicorn")()
        eventually(lambda: bool(master.children()), "a web worker runs")
        return master.children()[0]

    written_while(
        program,
        WRITES,
        then=[
            killed(child("postgres")),
            killed(web_worker),
            killed(child("runjobs")),
            killed(child("gunicorn")),
            supervisor,
            killed(child("postgres")),
        ],
        name="killed",
    )


def test_a_stop_under_load_drops_nothing_that_was_acknowledged(program: Program) -> None:
    def stop() -> None:
        assert program.running.stop() == 0, program.running.output
        program.start_again()

    written_while(program, WRITES // 3, then=[stop, stop], name="stopped")
