"""Behind PgBouncer in transaction mode, where many clients share few connections of the database:
what one transaction sets, the next one, of somebody else, must not see."""

import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from config.embedded.accounts import server_account
from config.embedded.temporary import TemporaryUrls, temporary_server
from config.lib.db.prepared import allow_preparing, may_prepare
from tests.faults.serving import eventually
from tests.gunicorn import WebServer
from tests.unit.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
THREADS, ROUNDS, CONNECTIONS = 50, 8, 4
PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
logfile = {folder}/log
"""


@pytest.fixture(scope="module")
def urls() -> Iterator[TemporaryUrls]:
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed")
    with temporary_server(fsync=False) as urls:
        yield urls


@pytest.fixture(scope="module")
def pooled(urls: TemporaryUrls) -> Iterator[str]:
    """DATABASE_URL by way of PgBouncer."""
    assert PGBOUNCER is not None
    url = urlsplit(urls.runtime)
    given = parse_qs(url.query)
    account = server_account(urls.data_dir)
    folder = Path(tempfile.mkdtemp(prefix="remembrancer-pgbouncer-"))
    listen = free_port()
    settings = CONFIGURATION.format(
        host=given["host"][0],
        port=given["port"][0],
        listen=listen,
        folder=folder,
        connections=CONNECTIONS,
    )
    (folder / "pgbouncer.ini").write_text(settings)
    (folder / "users.txt").write_text(f'"{url.username}" "{url.password}"\n')
    for path in (folder, *folder.iterdir()):
        account.own(path)
    process = subprocess.Popen(
        [PGBOUNCER, "-q", str(folder / "pgbouncer.ini")],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        **account.popen_options(),
    )

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", listen)) == 0

    eventually(listens, "PgBouncer listens")
    login = f"{url.username}:{url.password}@127.0.0.1:{listen}"
    yield url._replace(netloc=login, query="").geturl()
    process.terminate()
    process.wait()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(urls: TemporaryUrls, pooled: str) -> Iterator[WebServer]:
    # A connection for each request, so that PgBouncer's few are what they share.
    server = WebServer(
        urls,
        name="remembrancer",
        DATABASE_OWNER_URL=urls.owner,
        REMEMBRANCER_WEB_THREADS=str(THREADS),
        REMEMBRANCER_DATABASE_POOL=str(THREADS),
        REMEMBRANCER_DATABASE_POOL_TIMEOUT="60",
    )
    server.manage("migrate", "--verbosity", "0")
    server.environment["DATABASE_URL"] = pooled
    server.start()
    yield server
    server.kill()


class Agent(threading.Thread):
    """Writes, reads and searches in its own workspace, and keeps what it found of others."""

    def __init__(self, server: WebServer, number: int, slug: str, token: str) -> None:
        super().__init__(daemon=True)
        self.number, self.slug, self.token, self.url = number, slug, token, server.url
        self.foreign: list[str] = []
        self.seen = 0
        self.failed: list[str] = []

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60) as client:
            for round_ in range(ROUNDS):
                text = f"{self.slug}: the lantern number {round_} of agent {self.number}"
                self.look(client.post("/memories", json={"text": text}))
                self.look(client.get("/memories", params={"limit": 50}))
                self.look(client.post("/search", json={"q": "lantern", "limit": 20}))

    def look(self, answer: httpx.Response) -> None:
        if answer.status_code not in (200, 201):
            self.failed.append(f"{answer.status_code} {answer.text[:200]}")
            return
        told = answer.json()
        rows = told.get("items") or told.get("hits") or [told]
        texts = [row["text"] for row in rows if "text" in row]
        self.seen += len(texts)
        self.foreign += [text for text in texts if not text.startswith(f"{self.slug}:")]


def test_fifty_agents_of_two_workspaces_over_few_connections_never_see_each_other(
    server: WebServer,
) -> None:
    tokens = {}
    for slug in ("north", "south"):
        server.manage("createworkspace", slug)
        said = server.manage("createkey", "--workspace", slug, "--agent", "lamplighter")
        tokens[slug] = next(word for word in said.split() if word.startswith("rmb_"))
    agents = [
        Agent(server, number, slug, tokens[slug])
        for number in range(THREADS)
        for slug in [("north", "south")[number % 2]]
    ]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()
    assert [failed for agent in agents for failed in agent.failed] == []
    assert [text for agent in agents for text in agent.foreign] == []
    assert all(agent.seen > ROUNDS for agent in agents)
    with httpx.Client(base_url=f"{server.url}/api/v1", timeout=60) as client:
        for slug, token in tokens.items():
            client.headers["Authorization"] = f"Bearer {token}"
            told = client.get("/stats").json()
            assert told["memories"]["total"] == THREADS * ROUNDS // 2, (slug, told["memories"])


def test_no_statement_is_prepared_where_the_next_transaction_may_have_another_server(
    urls: TemporaryUrls, pooled: str, server: WebServer
) -> None:
    """`server` has made the database."""
    for url, expected in ((urls.runtime, True), (pooled, False)):
        with psycopg.connect(url) as connection:
            allow_preparing(connection)
            assert may_prepare(connection) is expected
