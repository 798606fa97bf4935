"""Search with a reranker: what it orders, what it leaves, and what happens without it."""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from config.lib.scope import in_scope, workspace_scope
from memory.reranking import reset_reranker
from memory.reranking.local import LocalReranker
from memory.search import rerank
from tests.api.caller import caller, made, wrong_fields
from tests.factories import make_memory
from tests.search.asking import embed_all
from tests.unit.cross_encoder import make_cross_encoder
from tests.unit.embedding_endpoint import Endpoint, answer, refusal, silent

QUERY = "valve of the boiler open"
TEXTS = [
    "The boiler valve is open.",
    "The boiler is warm.",
    "The valve sticks at night.",
    "Seven pumps in the cellar, and a boiler.",
    "An open boiler.",
]


def shared(text: str) -> int:
    """Words that the model knows and finds in both."""
    return len({"valve", "boiler", "open"} & set(re.findall(r"\w+", text.lower())))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    reset_reranker()
    rerank.forget()


@pytest.fixture
def api(workspace, embedder):
    with workspace_scope(workspace.id):
        for text in TEXTS:
            make_memory(text)
    embed_all(workspace)
    return caller(workspace)


@pytest.fixture
def contrary(settings, tmp_path):
    """A model that likes what shares few words with the query: no search's own order."""
    settings.RERANKER = "local"
    settings.RERANKER_PATH = make_cross_encoder(tmp_path, factor=-1.0)


@pytest.fixture
def endpoint(settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Endpoint()
    settings.RERANKER, settings.RERANKER_URL = "http", server.url
    server.usual = lambda _, request: answer(
        [{"index": i, "score": i} for i in range(len(request["documents"]))]
    )(server, request)
    yield server
    server.close()


def found(answer: dict[str, Any]) -> list[str]:
    return [hit["text"] for hit in answer["hits"]]


def ask(api: Any, **fields: Any) -> dict[str, Any]:
    return made(api.post("/search", {"q": QUERY, "explain": True, **fields}))


def test_it_is_off_by_default(api):
    answer = ask(api)
    assert answer["legs"] == ["lexical", "semantic"]
    assert answer["rerank_unavailable"] is None
    assert {hit["explain"]["rerank_score"] for hit in answer["hits"]} == {None}


def test_hits_stand_in_the_rerankers_order_and_equal_ones_as_before(api, contrary):
    before, after = ask(api, rerank=False), ask(api)
    assert after["legs"] == ["lexical", "semantic", "rerank"]
    assert after["rerank_unavailable"] is None
    assert found(after) == sorted(found(before), key=shared)
    assert found(after) != found(before)
    # The score is the search's own; how the order came about is explained.
    scores = {hit["id"]: hit["score"] for hit in before["hits"]}
    places = {hit["id"]: rank for rank, hit in enumerate(before["hits"], 1)}
    for hit in after["hits"]:
        assert hit["score"] == scores[hit["id"]]
        assert hit["explain"]["rank_before"] == places[hit["id"]]
        assert 0 < hit["explain"]["rerank_score"] < 1
    reranked = [hit["explain"]["rerank_score"] for hit in after["hits"]]
    assert reranked == sorted(reranked, reverse=True)
    assert len(set(reranked)) < len(reranked), "there are equal ones"


def test_more_are_reranked_than_are_given(api, contrary):
    everything = found(ask(api))
    assert found(ask(api, limit=2)) == everything[:2]
    assert found(ask(api, limit=2, rerank=False)) != everything[:2]


def test_what_lies_deeper_stays_where_it_is(api, contrary, settings):
    settings.RERANKER_DEPTH = 2
    before, after = ask(api, rerank=False), ask(api)
    assert found(after)[:2] == sorted(found(before)[:2], key=shared)
    assert found(after)[2:] == found(before)[2:]
    assert [hit["explain"]["rank_before"] is None for hit in after["hits"]][:3] == [
        False, False, True,
    ]  # fmt: skip


def test_the_least_score_is_the_searchs_own(api, contrary):
    scores = sorted((hit["score"] for hit in ask(api)["hits"]), reverse=True)
    kept = ask(api, min_score=scores[1] - 1e-6)
    assert sorted((hit["score"] for hit in kept["hits"]), reverse=True) == scores[:2]


@pytest.mark.parametrize(
    "fields", [{"rerank": False}, {"mode": "lexical"}, {"mode": "semantic"}], ids=str
)
def test_some_searches_are_not_reranked(api, contrary, monkeypatch, fields):
    monkeypatch.setattr(LocalReranker, "score", None)  # would fail if it were called
    answer = ask(api, kinds=["memory"], **fields)
    assert answer["hits"]
    assert "rerank" not in answer["legs"]
    assert answer["rerank_unavailable"] is None


def test_the_newest_rows_for_no_word_are_not_reranked(workspace, contrary, monkeypatch, embedder):
    monkeypatch.setattr(LocalReranker, "score", None)
    with workspace_scope(workspace.id):
        make_memory(TEXTS[0])
    answer = ask(caller(workspace), q="the")
    assert (answer["legs"], found(answer)) == (["recent"], TEXTS[:1])


def test_nothing_found_is_nothing_to_rerank(workspace, contrary, monkeypatch, embedder):
    monkeypatch.setattr(LocalReranker, "score", None)
    assert ask(caller(workspace))["hits"] == []


def test_it_runs_outside_any_transaction(api, contrary, monkeypatch):
    seen, score = [], LocalReranker.score

    def watched(self, query, texts, *, budget=None):
        seen.append((in_scope(), query, budget))
        return score(self, query, texts, budget=budget)

    monkeypatch.setattr(LocalReranker, "score", watched)
    ask(api, q=f'{QUERY} -"frost"')
    assert seen == [(False, QUERY, 2.0)]


def test_the_receipt_holds_what_the_caller_got(api, contrary):
    answer = ask(api, limit=3)
    kept = made(api.get(f"/searches/{answer['receipt_id']}"))
    assert kept["legs"] == ["lexical", "semantic", "rerank"]
    assert [hit["id"] for hit in kept["hits"]] == [hit["id"] for hit in answer["hits"]]
    assert [hit["rank"] for hit in kept["hits"]] == [1, 2, 3]
    for one, hit in zip(kept["hits"], answer["hits"], strict=True):
        for name in ("rerank_score", "rank_before", "bm25"):
            assert one[name] == hit["explain"][name]
    again = made(api.post(f"/searches/{answer['receipt_id']}/replay"))
    assert (again["same"], again["moved"]) == (3, [])
    assert again["answer"]["legs"] == answer["legs"]


def test_who_did_not_ask_is_told_no_figures(api, contrary):
    answer = ask(api, explain=False)
    assert {hit["explain"] for hit in answer["hits"]} == {None}
    unkept = ask(api, explain=False, receipt=False)
    assert found(unkept) == found(answer)
    assert unkept["receipt_id"] is None


def test_a_context_block_has_the_reranked_hits(api, contrary):
    hits = [hit["id"] for hit in ask(api, limit=2)["hits"]]
    block = made(api.get("/context", q=QUERY, limit=2))
    assert [row["id"] for row in block["rows"]] == hits
    plain = made(api.get("/context", q=QUERY, limit=2, rerank="false"))
    assert [row["id"] for row in plain["rows"]] != hits


def test_what_stands_beside_hits_is_read_for_those_that_are_given(workspace, contrary, embedder):
    api = caller(workspace)
    session = made(api.post("/sessions", {"name": "Night watch"}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    for text in TEXTS:
        made(api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": text}))
    [hit] = ask(api, limit=1, neighbours=1, kinds=["message"])["hits"]
    around = [TEXTS[i] for i in (hit["idx"] - 1, hit["idx"] + 1) if 0 <= i < len(TEXTS)]
    assert [one["text"] for one in hit["neighbours"]] == around


def test_a_golden_query_is_asked_as_callers_ask(api, contrary):
    first = ask(api, limit=1)["hits"][0]["id"]
    body = {"name": "x", "request": {"q": QUERY}, "expected": [first], "within": 1}
    made(api.post("/golden-queries", body))
    assert made(api.post("/golden-queries/run"))["recall"] == 1.0


def test_a_golden_query_says_that_it_was_not_reranked(api, endpoint):
    endpoint.script = [refusal(401)]
    first = ask(api, limit=1, rerank=False)["hits"][0]["id"]
    body = {"name": "x", "request": {"q": QUERY}, "expected": [first], "within": 1}
    made(api.post("/golden-queries", body))
    run = made(api.post("/golden-queries/run"))
    assert run["recall"] == 1.0
    assert run["results"][0]["problem"].startswith("not reranked: The rerank endpoint")


def test_it_must_be_a_yes_or_no(api):
    assert list(wrong_fields(api.post("/search", {"q": "x", "rerank": "maybe"}))) == ["rerank"]


# --- Trouble ----------------------------------------------------------------------------------


def test_a_model_that_cannot_be_loaded_leaves_the_order(api, settings, tmp_path):
    settings.RERANKER, settings.RERANKER_PATH = "local", make_cross_encoder(tmp_path)
    (tmp_path / "model.onnx").write_text("not a model")
    before, after = ask(api, rerank=False), ask(api)
    assert "ONNX Runtime cannot load" in after["rerank_unavailable"]
    assert (after["legs"], found(after)) == (["lexical", "semantic"], found(before))


def test_an_endpoint_orders_hits(api, endpoint):
    before, after = ask(api, rerank=False), ask(api, limit=2)
    assert found(after) == found(before)[::-1][:2]
    assert endpoint.requests[0]["query"] == QUERY
    assert endpoint.requests[0]["documents"] == found(before)


def test_an_endpoint_that_refuses_is_left_alone_for_a_while(api, endpoint):
    before = found(ask(api, rerank=False))
    endpoint.script = [refusal(401)]
    for _ in range(3):
        after = ask(api)
        assert "answered 401" in after["rerank_unavailable"]
        assert (after["legs"], found(after)) == (["lexical", "semantic"], before)
    assert len(endpoint.requests) == 1
    rerank.forget()  # as after some seconds
    assert ask(api)["rerank_unavailable"] is None


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (answer([]), "gave 0 scores for 5 texts"),
        (answer([{"index": i, "score": float("nan")} for i in range(5)]), "not finite"),
        (silent, "did not answer within"),
    ],
)
def test_a_bad_answer_or_a_late_one_leaves_the_order(api, endpoint, monkeypatch, behaviour, said):
    monkeypatch.setattr(rerank, "BUDGET_SECONDS", 0.2)
    before = found(ask(api, limit=2, rerank=False))
    endpoint.script = [behaviour]
    after = ask(api, limit=2)
    assert said in after["rerank_unavailable"]
    assert found(after) == before
    assert len(after["hits"]) == 2


def test_settings_that_cannot_be_used_are_said(api, settings):
    settings.RERANKER, settings.RERANKER_URL = "http", "http://me:secret@localhost"
    after = ask(api)
    assert "REMEMBRANCER_RERANKER_URL" in after["rerank_unavailable"]
    assert "secret" not in after["rerank_unavailable"]
    assert len(after["hits"]) == len(TEXTS)


def test_nothing_of_another_workspace_is_sent(api, endpoint, other_workspace):
    with workspace_scope(other_workspace.id):
        make_memory(f"The boiler valve {uuid.uuid4()}")
    ask(api)
    assert set(endpoint.requests[0]["documents"]) == set(TEXTS)
