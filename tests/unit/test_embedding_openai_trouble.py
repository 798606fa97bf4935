"""The OpenAI-compatible provider when its server fails, is slow, or quotes secrets."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from memory.embedding.base import EmbeddingError
from tests.unit.embedding_endpoint import (
    KEY,
    NOW,
    Behaviour,
    Endpoint,
    Made,
    answer,
    refusal,
    silent,
)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    # A proxy in the environment of whoever runs the tests is not what they are about.
    with httpx.Client(trust_env=False) as made:
        yield made


@pytest.fixture
def make(endpoint: Endpoint, client: httpx.Client) -> Made:
    return Made(endpoint, client)


# --- Trouble that passes ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_trouble_is_tried_again(endpoint: Endpoint, make: Made, status: int) -> None:
    endpoint.script = [refusal(status), refusal(status)]
    assert make().embed(["one"]).shape == (1, 4)
    assert make.slept == [0.5, 1.0]


def test_waits_are_spread_by_jitter(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [refusal(500)] * 3
    make(jitter=lambda: 0.0).embed(["one"])
    assert make.slept == [0.25, 0.5, 1.0]


def test_attempts_are_bounded(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [refusal(503, "overloaded")] * 10
    with pytest.raises(EmbeddingError, match="answered 503: overloaded") as raised:
        make().embed(["one"])
    assert raised.value.retryable
    assert len(endpoint.requests) == 4


@pytest.mark.parametrize("value", ["3", " 3 ", "3.0", formatdate(NOW + 3, usegmt=True)])
def test_retry_after_is_honoured(endpoint: Endpoint, make: Made, value: str) -> None:
    endpoint.script = [refusal(429, "slow down", Retry_After=value)]
    make(jitter=lambda: 0.0).embed(["one"])
    assert make.slept == [pytest.approx(3.125)]


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "1e9", "9" * 400, "Fri, 99 Foo 2020"])
def test_a_retry_after_that_says_nothing_is_ignored(
    endpoint: Endpoint, make: Made, value: str
) -> None:
    endpoint.script = [refusal(429, "slow down", Retry_After=value)]
    make().embed(["one"])
    assert make.slept == [0.5]


def test_a_long_retry_after_is_left_to_the_caller(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [refusal(429, "come back later", Retry_After="120")]
    with pytest.raises(EmbeddingError, match="come back later") as raised:
        make().embed(["one"])
    assert raised.value.retryable
    assert raised.value.retry_after == 120
    assert make.slept == []


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 422, 501])
def test_lasting_trouble_is_not_tried_again(endpoint: Endpoint, make: Made, status: int) -> None:
    endpoint.script = [refusal(status, "wrong")]
    with pytest.raises(EmbeddingError, match=f"answered {status}") as raised:
        make().embed(["one"])
    assert not raised.value.retryable
    assert len(endpoint.requests) == 1


def test_an_empty_account_is_not_waited_for(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [refusal(429, "You exceeded your quota", code="insufficient_quota")]
    with pytest.raises(EmbeddingError, match="quota") as raised:
        make().embed(["one"])
    assert not raised.value.retryable


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "in OpenAI's form"}}, "in OpenAI's form"),
        ({"error": "in TEI's form", "error_type": "Validation"}, "in TEI's form"),
        ({"object": "error", "message": "in vLLM's form", "code": 400}, "in vLLM's form"),
        ({"detail": "in FastAPI's form"}, "in FastAPI's form"),
        ({"error": {"message": "two\nlines"}}, "two lines"),
    ],
)
def test_the_servers_words_are_passed_on(
    endpoint: Endpoint, make: Made, body: Any, said: str
) -> None:
    endpoint.script = [answer(body, 400)]
    with pytest.raises(EmbeddingError, match=f"answered 400: {said}"):
        make().embed(["one"])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"detail": [{"input": "my diary"}]}'])
def test_an_error_without_words_still_says_its_status(
    endpoint: Endpoint, make: Made, body: bytes
) -> None:
    endpoint.script = [lambda _, __: (400, {}, body)]
    with pytest.raises(EmbeddingError, match=r"answered 400$"):
        make().embed(["one"])


def test_a_connection_that_breaks_is_tried_again(endpoint: Endpoint, make: Made) -> None:
    short: Behaviour = lambda _, __: (200, {"X-Length": "500"}, b'{"data"')  # noqa: E731
    endpoint.script = [lambda _, __: None, short]
    assert make().embed(["one"]).shape == (1, 4)
    assert len(make.slept) == 2


def test_a_server_that_is_not_there_is_named(make: Made) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddingError, match=f"127.0.0.1:{port}.* cannot be reached") as raised:
            make(url=f"http://127.0.0.1:{port}/v1").embed(["one"])
    assert raised.value.retryable
    assert len(make.slept) == 3


# --- Slowness ---------------------------------------------------------------------------------


def test_a_server_that_never_answers_times_out(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [silent] * 4
    started = time.monotonic()
    with pytest.raises(EmbeddingError, match=r"did not answer within 0\.1 s") as raised:
        make(timeout=0.1).embed(["one"])
    assert raised.value.retryable
    assert len(endpoint.requests) == 4
    assert time.monotonic() - started < 5


def test_a_slow_start_is_survived(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [silent]
    assert make(timeout=0.3).embed(["one"]).shape == (1, 4)


def test_a_budget_bounds_the_whole_call(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [silent] * 4
    started = time.monotonic()
    with pytest.raises(EmbeddingError) as raised:
        make(sleep=time.sleep).embed(["one"], budget=0.3)
    assert raised.value.retryable
    assert time.monotonic() - started < 2
    assert len(endpoint.requests) == 1


def test_a_budget_leaves_no_room_for_a_long_wait(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [refusal(503, "busy", Retry_After="5")]
    with pytest.raises(EmbeddingError, match="busy") as raised:
        make().embed(["one"], budget=2.0)
    assert raised.value.retry_after == 5
    assert make.slept == []


def test_a_spent_budget_sends_nothing(endpoint: Endpoint, make: Made) -> None:
    with pytest.raises(EmbeddingError, match="too slow"):
        make().embed(["one"], budget=0.0)
    assert endpoint.requests == []


def test_a_server_that_trickles_is_cut_off(make: Made) -> None:
    """Every read is in time, and the whole is not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        started = time.monotonic()
        try:
            with pytest.raises(EmbeddingError, match="too slow"):
                make(url=url).embed(["one"], budget=0.4)
            assert time.monotonic() - started < 2
        finally:
            stop.set()
            thread.join()


# --- Secrets ----------------------------------------------------------------------------------


def test_the_key_is_in_no_error_and_no_log(
    endpoint: Endpoint, make: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    embedder = make()
    said = []
    for status in (400, 401, 403, 404, 429, 500):
        endpoint.script = [refusal(status, f"Incorrect API key provided: {KEY}")] * 4
        with pytest.raises(EmbeddingError) as raised:
            embedder.embed(["one"])
        said.append(str(raised.value))
    assert KEY not in " ".join([*said, caplog.text, repr(embedder)])
    assert "Incorrect API key provided: [key]" in said[0]
    assert "check REMEMBRANCER_EMBEDDING_API_KEY" in said[1]
    assert "Incorrect" not in said[1], "servers quote a part of the key there"


@pytest.mark.parametrize("key", ["sk-two\nlines", "sk-päss", "sk-with blank", "sk-\x00nul"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(make: Made, key: str) -> None:
    with pytest.raises(EmbeddingError, match="REMEMBRANCER_EMBEDDING_API_KEY") as raised:
        make(api_key=key)
    assert "sk-" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@localhost/v1",
        "http://localhost/v1?key=hunter2",
        "http://localhost/v1#hunter2",
        "file:///etc/hunter2",
        "http://",
    ],
)
def test_a_url_that_may_hold_a_secret_is_refused_unseen(make: Made, url: str) -> None:
    with pytest.raises(EmbeddingError, match="REMEMBRANCER_EMBEDDING_URL") as raised:
        make(url=url)
    assert "hunter2" not in str(raised.value)
