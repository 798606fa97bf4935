"""The OpenAI-compatible provider, against a real server that misbehaves on order."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from memory.embedding.base import EmbeddingError
from tests.unit.embedding_endpoint import (
    KEY,
    Behaviour,
    Endpoint,
    Made,
    answer,
    refusal,
    vector_of,
    vectors,
    well_behaved,
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


def unit(row: list[float]) -> Any:
    return np.array(row) / np.linalg.norm(row)


# --- What is sent and what comes back ---------------------------------------------------------


def test_a_request_is_what_the_protocol_says(endpoint: Endpoint, make: Made) -> None:
    make().embed(["one", "two"])
    assert endpoint.paths == ["/v1/embeddings"]
    assert endpoint.requests == [{"model": "nomic", "input": ["one", "two"]}]
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent(endpoint: Endpoint, make: Made) -> None:
    make(api_key="", url=endpoint.url + "/").embed(["one"])
    assert "authorization" not in endpoint.headers[0]
    assert endpoint.paths == ["/v1/embeddings"]


def test_rows_are_put_in_order_and_to_length_one(make: Made) -> None:
    texts = ["first", "the second", "3"]
    rows = make().embed(texts)
    assert rows.dtype == np.float32
    for text, row in zip(texts, rows, strict=True):
        np.testing.assert_allclose(row, unit(vector_of(text)), atol=1e-6)


def test_no_texts_need_no_request(endpoint: Endpoint, make: Made) -> None:
    assert make().embed([]).shape == (0, 4)
    assert endpoint.requests == []


def test_many_texts_go_in_batches_and_keep_their_order(endpoint: Endpoint, make: Made) -> None:
    texts = [f"text {n}" for n in range(75)]
    rows = make().embed(texts)
    assert [len(request["input"]) for request in endpoint.requests] == [32, 32, 11]
    np.testing.assert_allclose(rows[74], unit(vector_of("text 74")), atol=1e-6)


def test_a_server_that_takes_fewer_texts_is_given_fewer(endpoint: Endpoint, make: Made) -> None:
    endpoint.most_texts = 10
    embedder = make()
    texts = [f"text {n}" for n in range(40)]
    rows = embedder.embed(texts)
    assert rows.shape == (40, 4)
    np.testing.assert_allclose(rows[39], unit(vector_of("text 39")), atol=1e-6)
    sizes = [len(request["input"]) for request in endpoint.requests]
    assert sizes == [32, 16, 8, 8, 8, 8, 8]

    embedder.embed(texts[:9])  # remembered: no further refusals
    assert [len(r["input"]) for r in endpoint.requests[7:]] == [8, 1]


def test_one_text_that_is_too_large_is_an_error(endpoint: Endpoint, make: Made) -> None:
    endpoint.script = [refusal(413, "Payload too large")]
    with pytest.raises(EmbeddingError, match="answered 413: Payload too large") as raised:
        make().embed(["one"])
    assert not raised.value.retryable


def test_dimensions_are_asked_for_only_where_the_model_gives_more(
    endpoint: Endpoint, make: Made
) -> None:
    endpoint.width = 6
    embedder = make()
    assert embedder.embed(["one"]).shape == (1, 4)
    assert embedder.embed(["two"]).shape == (1, 4)
    assert [request.get("dimensions") for request in endpoint.requests] == [None, 4, 4]


def test_a_model_that_cannot_shorten_its_vectors_is_named(endpoint: Endpoint, make: Made) -> None:
    endpoint.width = 6
    endpoint.script = [well_behaved, refusal(400, "does not support specifying dimensions")]
    with pytest.raises(EmbeddingError, match=r"6 numbers, not 4; set .*_DIMENSIONS=6") as raised:
        make().embed(["one"])
    assert not raised.value.retryable


def test_shorter_vectors_than_configured_are_an_error(endpoint: Endpoint, make: Made) -> None:
    endpoint.width = 3
    with pytest.raises(EmbeddingError, match=r"3 numbers, not 4; set .*_DIMENSIONS=3"):
        make().embed(["one"])
    assert len(endpoint.requests) == 1


def test_long_and_empty_texts_are_made_fit_to_send(endpoint: Endpoint, make: Made) -> None:
    make(max_tokens=3).embed(["one two four five", "", " \n", "lone \ud800 surrogate"])
    assert endpoint.requests[0]["input"] == ["one two four ", ".", ".", "lone ? surr"]


def test_tokens_are_approximated_by_pieces_of_words(make: Made) -> None:
    text = "remembering Zürich: 日本 ok"
    offsets = make().token_offsets(text)
    assert [text[a:b] for a, b in offsets] == [
        *("reme", "mber", "ing"),
        *("Z", "ü", "rich", ":"),
        *("日", "本", "ok"),
    ]
    assert make().count_tokens([text, ""]) == [len(offsets), 0]


# --- Answers that must not be believed --------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (vectors(vector_of("a")), "gave 1 vectors for 2 texts"),
        (vectors(*[vector_of("a")] * 3), "gave 3 vectors for 2 texts"),
        (vectors([1.0, 2.0, 3.0, float("nan")], vector_of("b")), r"not finite \(text 0\)"),
        (vectors(vector_of("a"), [1.0, float("inf"), 0.0, 0.0]), r"not finite \(text 1\)"),
        (vectors(vector_of("a"), [0.0, 0.0, 0.0, 0.0]), r"zero \(text 1\)"),
        (vectors(vector_of("a"), [1.0, 2.0]), "unequal lengths"),
        (vectors(vector_of("a"), [None] * 4), "not a list of vectors of numbers"),
        (vectors(vector_of("a"), "AACAPw=="), "not a list of numbers"),
        (answer({"data": [{"index": 0, "embedding": [1]}] * 2}), "two vectors with `index` 0"),
        (answer({"data": [{"embedding": [1.0] * 4}] * 2}), "`index` is not from 0 to 1"),
        (answer({"data": [{"index": 7, "embedding": [1.0] * 4}] * 2}), "`index` is not from"),
        (answer({"data": [1, 2]}), "list of embeddings"),
        (answer({"data": {"0": 1}}), "list of embeddings"),
        (answer([1, 2]), "list of embeddings"),
        (lambda _, __: (200, {}, b"<html>welcome</html>"), "did not answer with JSON"),
        (lambda _, __: (200, {}, b"[" * 100_000), "did not answer with JSON"),
        (lambda _, __: (200, {"Content-Encoding": "gzip"}, b"not gzip"), "cannot be reached"),
    ],
)
def test_an_answer_that_is_not_right_is_an_error(
    endpoint: Endpoint, make: Made, behaviour: Behaviour, said: str
) -> None:
    endpoint.script = [behaviour]
    with pytest.raises(EmbeddingError, match=said) as raised:
        make().embed(["one", "two"])
    assert not raised.value.retryable
    assert len(endpoint.requests) == 1, "asking again would give the same"
    assert "127.0.0.1" in str(raised.value), "the message names the endpoint"


def test_an_endless_answer_is_cut_off(
    endpoint: Endpoint, make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.endpoints.calls.MOST_ANSWER_BYTES", 1000)
    endpoint.script = [lambda _, __: (200, {}, b" " * 5000)]
    with pytest.raises(EmbeddingError, match="answered with more than"):
        make().embed(["one"])


# --- The client -------------------------------------------------------------------------------


def test_its_own_client_is_opened_once_and_again_after_closing(
    endpoint: Endpoint, make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    embedder = make(client=None)
    embedder.embed(["one"])
    embedder.embed(["two"])
    embedder.close()
    assert embedder.embed(["three"]).shape == (1, 4)
    embedder.close()
    embedder.close()


def test_a_given_client_is_left_open(make: Made, client: httpx.Client) -> None:
    make().close()
    assert not client.is_closed


def test_threads_share_it(endpoint: Endpoint, make: Made) -> None:
    embedder = make()
    got: dict[str, Any] = {}
    texts = [f"thread {n}" for n in range(8)]
    threads = [
        threading.Thread(target=lambda text=text: got.update({text: embedder.embed([text])[0]}))
        for text in texts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for text in texts:
        np.testing.assert_allclose(got[text], unit(vector_of(text)), atol=1e-6)
