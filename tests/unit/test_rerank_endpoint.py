"""The rerank endpoint: what is sent in each server's form, and what is done with any answer."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from memory.reranking.base import RerankError
from memory.reranking.endpoint import HttpReranker
from tests.unit.embedding_endpoint import KEY, NOW, Endpoint, Reply, answer, refusal, silent

TEXTS = ["a", "bbb", "cc"]


def like_cohere(endpoint: Endpoint, request: dict[str, Any]) -> Reply:
    """Best first, as Cohere, Jina and vLLM answer; longer texts are better."""
    documents = request["documents"][: request["top_n"]]
    if len(documents) > endpoint.most_texts:
        return 413, {}, b'{"message": "too many documents"}'
    ranked = sorted(enumerate(documents), key=lambda one: -len(one[1]))
    results = [{"index": i, "relevance_score": len(text) / 10} for i, text in ranked]
    return 200, {}, json.dumps({"id": "x", "results": results}).encode()


def like_tei(endpoint: Endpoint, request: dict[str, Any]) -> Reply:
    if "texts" not in request:
        return 422, {"Content-Type": "text/plain"}, (
            b"Failed to deserialize the JSON body into the target type: missing field `texts` at "
            b"line 1 column 40"
        )  # fmt: skip
    texts = request["texts"]
    if len(texts) > endpoint.most_texts:
        message = f"batch size {len(texts)} > maximum allowed batch size {endpoint.most_texts}"
        return 422, {}, json.dumps({"error": message, "error_type": "Validation"}).encode()
    return 200, {}, json.dumps(
        [{"index": i, "score": len(text) / 10} for i, text in enumerate(texts)][::-1]
    ).encode()  # fmt: skip


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    made.usual = like_cohere
    yield made
    made.close()


class Made:
    """A reranker whose sleeps are written down instead of slept."""

    def __init__(self, endpoint: Endpoint, client: httpx.Client) -> None:
        self.endpoint, self.client = endpoint, client
        self.slept: list[float] = []

    def __call__(self, **changes: Any) -> HttpReranker:
        given: dict[str, Any] = {
            "url": self.endpoint.url, "model": "m", "api_key": KEY, "client": self.client,
            "sleep": self.slept.append, "wall_clock": lambda: NOW, "jitter": lambda: 1.0,
        }  # fmt: skip
        return HttpReranker(**(given | changes))


@pytest.fixture
def make(endpoint: Endpoint) -> Iterator[Made]:
    with httpx.Client(trust_env=False) as client:
        yield Made(endpoint, client)


def test_scores_come_back_in_the_order_of_the_texts(endpoint, make):
    assert make().score("q", TEXTS) == [0.1, 0.3, 0.2]
    assert endpoint.paths == ["/v1/rerank"]
    assert endpoint.requests == [{"model": "m", "query": "q", "documents": TEXTS, "top_n": 3}]
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_server_of_one_model_without_a_key_is_asked_without_either(endpoint, make):
    make(model="", api_key="").score("q", TEXTS)
    assert "model" not in endpoint.requests[0]
    assert "authorization" not in endpoint.headers[0]


def test_no_texts_ask_nobody(endpoint, make):
    assert make().score("q", []) == []
    assert endpoint.requests == []


def test_a_server_that_says_texts_is_noticed_and_remembered(endpoint, make):
    endpoint.usual = like_tei
    reranker = make()
    assert reranker.score("q", TEXTS) == [0.1, 0.3, 0.2]
    assert reranker.score("q", TEXTS) == [0.1, 0.3, 0.2]
    assert [sorted(one) for one in endpoint.requests] == [
        ["documents", "model", "query", "top_n"],
        ["query", "texts", "truncate"],
        ["query", "texts", "truncate"],
    ]


def test_a_refusal_of_both_forms_is_not_remembered(endpoint, make):
    endpoint.script = [refusal(400, "wrong texts"), refusal(400, "wrong query")]
    reranker = make()
    with pytest.raises(RerankError, match="wrong query"):
        reranker.score("q", TEXTS)
    assert reranker.score("q", TEXTS) == [0.1, 0.3, 0.2]
    assert "documents" in endpoint.requests[-1]


@pytest.mark.parametrize("usual", [like_cohere, like_tei])
def test_a_server_that_takes_fewer_texts_gets_fewer(endpoint, make, usual):
    endpoint.usual, endpoint.most_texts = usual, 4
    texts = ["x" * n for n in range(1, 12)]
    reranker = make()
    assert reranker.score("q", texts) == [n / 10 for n in range(1, 12)]
    endpoint.requests.clear()
    reranker.score("q", texts)
    sizes = [len(one.get("documents", one.get("texts"))) for one in endpoint.requests]
    assert (max(sizes) <= 4, sum(sizes)) == (True, 11)


def test_one_text_that_is_too_large_is_said_and_not_halved(endpoint, make):
    endpoint.most_texts = 0
    with pytest.raises(RerankError, match="answered 413: too many documents"):
        make().score("q", TEXTS)


def test_what_is_sent_fits_the_smaller_models(endpoint, make):
    make().score("where " * 1000, ["valve " * 1000, " \n", "a\ud800"])
    sent = endpoint.requests[0]
    assert len(sent["query"].split()) == 128
    assert len(sent["documents"][0].split()) == 128
    assert sent["documents"][1:] == [".", "a?"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "gave 0 scores for 2 texts"),
        ([{"index": 0, "score": 1}], "gave 1 scores for 2 texts"),
        ([{"index": i, "score": 1} for i in range(3)], "gave 3 scores for 2 texts"),
        ([{"index": 0, "score": 1}] * 2, "two scores with `index` 0"),
        ([{"index": 0, "score": 1}, {"index": 2, "score": 1}], "not from 0 to 1"),
        ([{"index": True, "score": 1}, {"index": 0, "score": 1}], "not from 0 to 1"),
        ([{"score": 1}, {"score": 1}], "not from 0 to 1"),
        ([{"index": 0, "score": 1}, {"index": 1}], r"not a number \(text 1\)"),
        ([{"index": 0, "score": "1"}, {"index": 1, "score": 1}], r"not a number \(text 0\)"),
        ([{"index": 0, "score": True}, {"index": 1, "score": 1}], r"not a number \(text 0\)"),
        ([{"index": 0, "score": float("nan")}, {"index": 1, "score": 1}], "not finite"),
        ([{"index": 0, "score": float("inf")}, {"index": 1, "score": 1}], "not finite"),
        ([{"index": 0, "score": 10**400}, {"index": 1, "score": 1}], "not finite"),
        ([1, 2], "did not answer with a list of results"),
        ({"results": {}}, "did not answer with a list of results"),
        ({"data": []}, "did not answer with a list of results"),
        ("fine", "did not answer with a list of results"),
    ],
)
def test_an_answer_that_is_none_is_refused_whole(endpoint, make, given, said):
    endpoint.script = [answer(given)]
    with pytest.raises(RerankError, match=said) as raised:
        make().score("q", TEXTS[:2])
    assert not raised.value.retryable
    assert str(raised.value).startswith(f"The rerank endpoint {endpoint.url}/rerank ")


def test_an_answer_that_is_no_json_is_refused(endpoint, make):
    endpoint.script = [lambda _, __: (200, {}, b"<html>")]
    with pytest.raises(RerankError, match="did not answer with JSON"):
        make().score("q", TEXTS)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_tried_again(endpoint, make, status):
    endpoint.script = [refusal(status), refusal(status)]
    assert make().score("q", TEXTS) == [0.1, 0.3, 0.2]
    assert make.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "REMEMBRANCER_RERANKER_API_KEY"), (404, "REMEMBRANCER_RERANKER_URL"), (422, "wrong")],
)
def test_lasting_trouble_says_where_to_look_and_never_the_key(endpoint, make, status, hint):
    endpoint.script = [refusal(status, f"wrong {KEY}")]
    with pytest.raises(RerankError, match=hint) as raised:
        make().score("q", TEXTS)
    assert KEY not in str(raised.value)
    assert len(endpoint.requests) == 1


def test_a_slow_server_costs_no_more_than_the_budget(endpoint, make):
    endpoint.script = [silent] * 4
    with pytest.raises(RerankError, match="did not answer within") as raised:
        make().score("q", TEXTS, budget=0.2)
    assert raised.value.timed_out
    assert len(endpoint.requests) == 1


def test_a_server_that_is_not_there_is_named(make):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        port = taken.getsockname()[1]
        with pytest.raises(RerankError, match=f"127.0.0.1:{port}.* cannot be reached"):
            make(url=f"http://127.0.0.1:{port}").score("q", TEXTS)


@pytest.mark.parametrize("url", ["ftp://x", "http://me:hunter2@x", "http://x?key=hunter2"])
def test_an_address_with_a_secret_is_refused_unseen(make, url):
    with pytest.raises(RerankError, match="REMEMBRANCER_RERANKER_URL") as raised:
        make(url=url)
    assert "hunter2" not in str(raised.value)
