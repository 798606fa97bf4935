"""Through gunicorn as it runs in production: bodies in chunks, and what a test client hides."""

import http.client
import socket
import time

import orjson
import pytest

from config.lib.scope import workspace_scope
from contacts.models import UsageDay
from tests.api.caller import Caller, all_items

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
LIMIT = 10 * 1024 * 1024  # as configured unless somebody says otherwise


def post_in_chunks(port: int, api: Caller, chunks) -> tuple[int, dict]:
    link = http.client.HTTPConnection("127.0.0.1", port)
    try:
        link.request(
            "POST",
            "/api/v1/memories",
            body=iter(chunks),
            headers={
                "Authorization": f"Bearer {api.token}",
                "Content-Type": "application/json",
                "Transfer-Encoding": "chunked",
            },
            encode_chunked=True,
        )
        answer = link.getresponse()
        return answer.status, orjson.loads(answer.read())
    finally:
        link.close()


def raw_answer(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(sent)
        link.shutdown(socket.SHUT_WR)
        got = b""
        while data := link.recv(65536):
            got += data
        return got


def head(api: Caller, path: str = "/memories", **headers: str) -> bytes:
    lines = [
        f"POST /api/v1{path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {api.token}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_bodies_without_a_length_are_read_whole_and_limited(port, api):
    text = "x" * 50_000
    body = orjson.dumps({"text": text})
    pieces = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    status, memory = post_in_chunks(port, api, pieces)
    assert (status, memory["text"]) == (201, text)
    status, answer = post_in_chunks(port, api, [b"x" * 10_000] * (LIMIT // 10_000 + 50))
    assert (status, answer["code"]) == (413, "body_too_large")
    status, answer = post_in_chunks(port, api, [b'{"text": ', b'"\xff"}'])
    assert (status, answer["code"]) == (400, "unreadable_body")
    assert len(all_items(api, "/memories")) == 1


def test_a_body_that_ends_too_soon_or_is_badly_cut_stores_nothing(port, api):
    body = b'{"text": "cut short"}'
    answer = raw_answer(port, head(api, Content_Length=str(len(body) + 10)) + body)
    assert b" 400 " in answer.partition(b"\r\n")[0], answer
    assert b"ends after 21 of 31 bytes" in answer
    for chunks in (b"zz\r\n" + body, b"15\r\n" + body[:-4], b"5\r\n" + body):
        answer = raw_answer(port, head(api, Transfer_Encoding="chunked") + chunks)
        assert b" 400 " in answer.partition(b"\r\n")[0], answer
    assert all_items(api, "/memories") == []


@pytest.mark.parametrize(
    "path", ["/hooks/generic", "/transcripts?agent=claude-code&session=s&final=true"]
)
def test_what_an_agent_sent_in_part_is_not_kept(port, api, path):
    body = b'{"event": "prompt", "session_id": "s", "text": "cut short"}'
    answer = raw_answer(port, head(api, path, Content_Length=str(len(body) + 10)) + body)
    assert b" 400 " in answer.partition(b"\r\n")[0], answer
    assert b"ends after 59 of 69 bytes" in answer
    assert all_items(api, "/hook-payloads") == all_items(api, "/sessions") == []


def test_a_body_announced_too_large_is_refused_before_it_is_sent(port, api):
    answer = raw_answer(port, head(api, Content_Length=str(LIMIT + 1)))
    assert b" 413 " in answer.partition(b"\r\n")[0], answer
    assert b"application/problem+json" in answer


def test_probes_and_documents_are_served(port):
    link = http.client.HTTPConnection("127.0.0.1", port)
    for path, kind in (
        ("/livez", "application/json"),
        ("/readyz", "application/json"),
        ("/api/v1/openapi.json", "application/json"),
        ("/api/v1/docs", "text/html"),
        ("/static/ninja/swagger-ui.css", "text/css"),
    ):
        link.request("GET", path)
        answer = link.getresponse()
        answer.read()
        assert (answer.status, answer.getheader("Content-Type", "").split(";")[0]) == (200, kind)
    link.request("GET", "/api/v1/nothing")
    answer = link.getresponse()
    assert answer.status == 404
    assert answer.getheader("Content-Type") == "application/problem+json"
    link.close()


def test_a_question_of_thousands_of_characters_fits_a_context_request(port, api):
    link = http.client.HTTPConnection("127.0.0.1", port)
    question = "+".join(["pump"] * 1500)
    link.request(
        "GET",
        f"/api/v1/context?mode=lexical&q={question}",
        headers={"Authorization": f"Bearer {api.token}"},
    )
    assert link.getresponse().status == 200
    link.close()


def test_a_body_that_is_too_large_is_answered_and_not_cut_off(port, api):
    link = http.client.HTTPConnection("127.0.0.1", port)
    try:
        headers = {"Authorization": f"Bearer {api.token}"}
        link.request("POST", "/api/v1/memories", b"x" * (LIMIT * 3), headers)
        answer = link.getresponse()
        assert (answer.status, orjson.loads(answer.read())["code"]) == (413, "body_too_large")
    finally:
        link.close()


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET /api/v1/me?q=" + "x" * 8200 + " HTTP/1.1", [], 414),
        ("GET /api/v1/me HTTP/1.1", ["X-Long: " + "x" * 8200], 431),
        ("GET /api/v1/me HTTP/1.1", [f"X-{n}: 1" for n in range(101)], 431),
    ],
)
def test_an_address_or_headers_beyond_all_measure_are_refused(port, line, headers, status):
    sent = "\r\n".join([line, "Host: localhost", *headers]).encode() + b"\r\n\r\n"
    answer = raw_answer(port, sent)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:100]


def test_what_a_key_does_is_counted_by_the_server_itself(port, api, workspace):
    status, _ = post_in_chunks(port, api, [b'{"text": "a heron"}'])
    assert status == 201
    until = time.monotonic() + 20

    def counted():
        with workspace_scope(workspace.id):
            return list(UsageDay.objects.values_list("requests", "rows", "bytes"))

    while not counted() and time.monotonic() < until:
        time.sleep(0.05)
    assert counted() == [(1, 1, 19)]
