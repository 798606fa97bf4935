"""More than a process can do: who is refused is told so at once, and probes are answered."""

import concurrent.futures
import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator

import orjson
import psycopg
import pytest
from django.db import OperationalError, connection

from config.db.base import DatabaseWrapper
from config.embedded.temporary import TemporaryUrls
from config.lib.admission import SPARE_THREADS, Admission
from memory.search import ask
from tests.api.caller import Caller, caller, made, problem
from tests.faults.serving import eventually
from tests.gunicorn import WebServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
POOL, THREADS = 2, 4
Answer = tuple[int, dict, float]


@pytest.fixture
def api(workspace) -> Caller:
    return caller(workspace)


@pytest.fixture
def server(database_server: TemporaryUrls, django_db_setup: None) -> Iterator[WebServer]:
    """One process of two connections and four threads."""
    server = WebServer(
        database_server,
        REMEMBRANCER_DATABASE_POOL=str(POOL),
        REMEMBRANCER_WEB_THREADS=str(THREADS),
    )
    server.start()
    yield server
    server.kill()


@pytest.fixture
def ask_server(server: WebServer, api: Caller) -> Callable[..., Answer]:
    def _ask(method: str, path: str, body: object = None) -> Answer:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
        began = time.monotonic()
        try:
            link.request(method, path, orjson.dumps(body) if body else None, headers)
            answer = link.getresponse()
            read = orjson.loads(answer.read())
            return answer.status, {**dict(answer.getheaders()), **read}, time.monotonic() - began
        finally:
            link.close()

    return _ask


def test_a_pool_held_by_slow_requests_refuses_others_and_answers_probes(
    database_server, api, ask_server
):
    session = made(api.post("/sessions", {"name": "n"}))["id"]
    name = connection.settings_dict["NAME"]
    events = f"/api/v1/sessions/{session}/events"
    assert ask_server("GET", "/readyz")[0] == 200
    with (
        psycopg.connect(database_server.superuser, dbname=name) as holder,
        psycopg.connect(database_server.superuser, dbname=name, autocommit=True) as watcher,
        concurrent.futures.ThreadPoolExecutor(20) as pool,
    ):
        holder.execute("SELECT 1 FROM agent_sessions_session FOR UPDATE")
        slow = [
            pool.submit(ask_server, "POST", events, {"event_type": "note"}) for _ in range(POOL)
        ]
        eventually(lambda: waiting_for_locks(watcher) == POOL, "both connections are held")
        others = [pool.submit(ask_server, "GET", "/api/v1/me") for _ in range(12)]
        probes = [pool.submit(ask_server, "GET", p) for p in ("/livez", "/readyz")]
        refused = [one.result() for one in others]
        for status, told, seconds in refused:
            assert (status, told["code"], told["Retry-After"]) == (503, "overloaded", "1")
            assert seconds < 5  # far from the 5 s and 30 s that the slow ones may take
        assert [one.result()[0] for one in probes] == [200, 200]
        holder.rollback()
        assert [one.result()[0] for one in slow] == [201] * POOL
    assert ask_server("GET", "/api/v1/me")[0] == 200


@pytest.mark.parametrize(("length", "status"), [(1000, b"401"), (10**9, b"413")])
def test_clients_that_stop_in_a_body_that_nobody_reads_keep_no_probe_waiting(
    server, ask_server, length, status
):
    """Five for each thread; the web server would wait two minutes for the rest of their bodies."""
    head = (
        b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n{" % length
    )
    began = time.monotonic()
    with contextlib.ExitStack() as stopped:
        links = []
        for _ in range(5 * (THREADS + SPARE_THREADS)):
            link = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            link.sendall(head)
            links.append(stopped.enter_context(link))
        answers = [link.recv(12) for link in links]
        alive, _, _ = ask_server("GET", "/livez")
    assert set(answers) <= {b"HTTP/1.1 " + status, b"HTTP/1.1 503"}
    assert alive == 200
    assert time.monotonic() - began < 25


def test_who_still_sends_a_body_that_is_refused_can_send_it_and_read_why(server):
    """Most clients send all of it before they read; a closed connection is all that they saw."""
    head = b"POST /api/v1/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(head + b"x" * 100_000)
        assert link.recv(12) == b"HTTP/1.1 401"
        for _ in range(19):
            link.sendall(b"x" * 100_000)
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: link.recv(65_536), b""))
    assert b"HTTP/1.1 200" in answers


def waiting_for_locks(watcher: psycopg.Connection) -> int:
    rows = watcher.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    ).fetchone()
    return rows[0] if rows else 0


def test_so_many_work_a_few_wait_and_the_rest_are_refused(monkeypatch):
    from config.lib import admission

    monkeypatch.setattr(admission, "WAITING", 1)
    monkeypatch.setattr(admission, "WAIT_SECONDS", 30)
    door = Admission(2)
    assert door.enter()
    assert door.enter()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(door.enter)
        eventually(lambda: door._waiting == 1, "one waits")
        assert not door.enter()
        door.leave()
        assert waits.result()
    monkeypatch.setattr(admission, "WAIT_SECONDS", 0)
    assert not door.enter()
    door.leave()
    assert door.enter()


def test_a_search_that_is_too_slow_is_stopped_and_its_connection_goes_on(api, monkeypatch):
    made(api.post("/memories", {"text": "a heron at the pond"}))
    genuine = ask.search

    def slow(**asked):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 20")
            cursor.execute("SELECT pg_sleep(60)")
        return genuine(**asked)

    with monkeypatch.context() as patched:
        patched.setattr(ask, "search", slow)
        answer = api.post("/search", {"q": "heron"})
    assert problem(answer, 503)["code"] == "timeout"
    assert answer["Retry-After"]
    before = backend()
    assert len(made(api.post("/search", {"q": "heron"}))["hits"]) == 1
    assert backend() == before
    assert timeouts() == ("30s", "5s", "1min")


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def timeouts() -> tuple[str, ...]:
    """Of the login that serves, runs jobs and commands."""
    found = []
    with connection.cursor() as cursor:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])
    return tuple(found)


def test_one_lost_connection_has_the_others_of_the_pool_replaced(database_server):
    name = connection.settings_dict["NAME"]
    options = {**connection.settings_dict["OPTIONS"], "pool": {"min_size": 3, "max_size": 3}}
    wrapper = DatabaseWrapper({**connection.settings_dict, "OPTIONS": options}, alias="pooled")
    try:
        wrapper.ensure_connection()
        others = [wrapper.pool.getconn(timeout=10) for _ in range(2)]
        with psycopg.connect(database_server.superuser, dbname=name, autocommit=True) as watcher:
            lost = [one.info.backend_pid for one in (wrapper.connection, *others)]
            for one in others:
                wrapper.pool.putconn(one)
            watcher.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) pid", [lost])
        with pytest.raises(OperationalError), wrapper.cursor() as cursor:
            cursor.execute("SELECT 1")
        wrapper.close()
        alive = [wrapper.pool.getconn(timeout=10) for _ in range(3)]
        assert not {one.info.backend_pid for one in alive} & set(lost)
        assert [one.execute("SELECT 1").fetchone() for one in alive] == [(1,)] * 3
        for one in alive:
            wrapper.pool.putconn(one)
    finally:
        wrapper.close()
        wrapper.close_pool()
