"""The whole API as its own document describes it, by Schemathesis against a real server: values at
the edges of every schema, made-up ones, and chains of calls that hand ids on. Nothing is an error
of ours, and every answer is one that the document names, with the body that it describes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.temporary import temporary_server
from tests.gunicorn import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Not asked: whether everything that fits its schema is taken (a name may be taken, an id unknown),
# and whether everything that does not is refused (unknown query parameters are, numbers as text
# are read).
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "use_after_free",
    "ignored_auth", "unsupported_method",
)  # fmt: skip
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
    # In a folder of its own: it keeps what it found beside itself.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run"),
            f"{server.url}/api/v1/openapi.json",
            *("--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)),
            *("--phases", phases, *bound, "--generation-deterministic"),
            *("--wait-for-schema", "60", "--request-timeout", "60", "--warnings", "off"),
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
