"""A disk that fills up, a real one of half a gigabyte: writes are refused while PostgreSQL still
has what it needs, reading goes on, and with room writing does too, by itself."""

import http.client
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from config.embedded.layout import Paths
from tests.faults.serving import Serve, eventually

pytestmark = pytest.mark.slow
MB = 1024**2
DISK, LEAST, BEFORE = 512 * MB, 64 * MB, 48 * MB


@pytest.fixture
def disk() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="remembrancer-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(path)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        path.rmdir()
        pytest.skip("only root may mount a small disk, and not everywhere")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def served(disk: Path) -> Iterator[Serve]:
    served = Serve(
        disk / "data",
        REMEMBRANCER_MIN_FREE_BYTES=str(LEAST),
        REMEMBRANCER_LOG_LEVEL="ERROR",
        REMEMBRANCER_BACKUP_HOURS="0",
    )
    yield served.wait_ready()
    assert served.stop() == 0
    served.log.close()
    shutil.rmtree(Paths(disk / "data").sockets, ignore_errors=True)


def ask(served: Serve, method: str, path: str, body: object = None) -> tuple[int, dict]:
    link = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    token = re.search(r"rmb_\w+", served.output)
    assert token is not None
    headers = {"Authorization": f"Bearer {token[0]}", "Content-Type": "application/json"}
    try:
        link.request(method, f"/api/v1{path}", orjson.dumps(body) if body else None, headers)
        answer = link.getresponse()
        return answer.status, orjson.loads(answer.read() or b"{}")
    finally:
        link.close()


def test_a_disk_that_fills_up_stops_writes_and_nothing_else(served, disk):
    status, session = ask(served, "POST", "/sessions", {"name": "n"})
    assert status == 201
    server = served.child("postgres").pid
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - LEAST - BEFORE)
    acknowledged, status = 0, 201
    while status == 201:
        assert acknowledged < 500, "it never stops"
        # What compression does not make small.
        event = {"event_type": "note", "text": os.urandom(100_000).hex()}
        status, told = ask(served, "POST", f"/sessions/{session['id']}/events", event)
        acknowledged += status == 201
    assert (status, told["code"]) == (507, "no_room")
    assert acknowledged > 2
    assert shutil.disk_usage(disk).free > LEAST // 4
    # Each write that was acknowledged is there, and reads go on.
    status, found = ask(served, "GET", f"/sessions/{session['id']}")
    assert (status, found["event_count"]) == (200, acknowledged)
    status, _ = ask(served, "POST", "/search", {"q": "anything"})
    assert status == 200
    assert served.get("/readyz") == 200
    ballast.unlink()

    def written() -> bool:
        event = {"event_type": "note", "text": "there is room again"}
        return ask(served, "POST", f"/sessions/{session['id']}/events", event)[0] == 201

    eventually(written, "it writes again by itself")
    assert served.child("postgres").pid == server
