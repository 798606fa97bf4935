"""The whole API as its own document describes it, by Schemathesis against a real server: values at
the edges of every schema, made-up ones, and chains of calls that hand ids on. Nothing is an error
of ours, and every answer is one that the document names, with the body that it describes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.temporary import temporary_server
from sessions.services.waiting import MAX_WAIT_SECONDS
from tests.gunicorn import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# All checks there are. What fits its schema may yet be refused: a name is taken, an id unknown, the
# version in If-Match is another. What does not, by more statuses than the checks know (RFC 6585's
# 428 without If-Match, 414 for an address that is too long).
CHECKS = """
[checks]
positive_data_acceptance.expected-statuses = [
    "2xx", "3xx", "400", "403", "404", "409", "412", "422", "428"]
negative_data_rejection.expected-statuses = [
    "400", "401", "403", "404", "405", "409", "412", "413", "414", "415", "422", "428"]
missing_required_header.expected-statuses = ["400", "401", "403", "415", "422", "428"]
"""
SECONDS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with temporary_server(fsync=False) as urls:
        server = WebServer(urls, name="remembrancer", DATABASE_OWNER_URL=urls.owner)
        server.manage("migrate", "--verbosity", "0")
        server.manage("createworkspace", "trial")
        server.start()
        yield server
        server.kill()


@pytest.mark.parametrize(
    ("phases", "bound"),
    [
        pytest.param("examples,coverage", ("--max-examples", "3"), id="edges"),
        pytest.param("fuzzing,stateful", ("--max-time", str(SECONDS)), id="chains"),
    ],
)
def test_the_document_tells_the_truth(
    server: WebServer, tmp_path: Path, phases: str, bound: tuple[str, str]
) -> None:
    said = server.manage("createkey", "--workspace", "trial", "--agent", phases)
    token = next(word for word in said.split() if word.startswith("rmb_"))
    # In a folder of its own: it looks for its settings there, and keeps what it found.
    (tmp_path / "schemathesis.toml").write_text(CHECKS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"{server.url}/api/v1/openapi.json",
            *("--header", f"Authorization: Bearer {token}", "--checks", "all"),
            *("--phases", phases, *bound, "--generation-deterministic"),
            *("--wait-for-schema", "60", "--request-timeout", "60", "--warnings", "off"),
            # Who asks to wait for something new is not answered before.
            *("--max-response-time", str(MAX_WAIT_SECONDS + 10)),
            *("--max-failures", "20", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, _short(done.stdout + done.stderr)


def _short(said: str) -> str:
    """Requests may be of thousands of characters."""
    return "\n".join(line[:300] for line in said.splitlines()[-400:])
