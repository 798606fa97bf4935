"""Searches that cannot be made say which field is why; odd ones are answered."""

from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from tests.api.caller import caller, made, wrong_fields
from tests.factories import make_memory, make_workspace, nowhere
from tests.search.asking import embed_all

TOMORROW = (clock.now() + timedelta(days=1)).isoformat()
BAD = [
    ({}, "q"),
    ({"q": ""}, "q"),
    ({"q": " \t\n", "metadata": {}, "tags": [], "kinds": []}, "q"),
    ({"q": "x" * 100_000}, "q"),
    ({"q": "é" * 50_000, "kinds": ["memory"]}, "q"),
    ({"q": "pump", "kinds": ["memory", "photo"]}, "kinds[1]"),
    ({"q": "pump", "kinds": "memory"}, "kinds"),
    ({"q": "pump", "memory_kinds": ["dream"]}, "memory_kinds[0]"),
    ({"q": "pump", "limit": 0}, "limit"),
    ({"q": "pump", "limit": -1}, "limit"),
    ({"q": "pump", "limit": 101}, "limit"),
    ({"q": "pump", "limit": 10**18}, "limit"),
    ({"q": "pump", "limit": 2.5}, "limit"),
    ({"q": "pump", "neighbours": 6}, "neighbours"),
    ({"q": "pump", "max_tokens": 1}, "max_tokens"),
    ({"q": "pump", "as_of": TOMORROW}, "as_of"),
    ({"q": "pump", "as_of": "9999-12-31T23:59:59Z"}, "as_of"),
    ({"q": "pump", "as_of": "2024-05-01"}, "as_of"),
    ({"q": "pump", "as_of": 1_700_000_000}, "as_of"),
    ({"q": "pump yesterday", "asked_at": "0001-01-01T00:00:00Z"}, "asked_at"),
    ({"q": "pump since Tuesday", "asked_at": "9999-12-31T23:00:00Z"}, "asked_at"),
    ({"q": "pump", "metadata": {"env": {"regex": ".*"}}}, "metadata.env.regex"),
    ({"q": "pump", "metadata": {"env": {"or": [{"eq": 1}]}}}, "metadata.env.or"),
    ({"q": "pump", "tags": {"in": ["wet"]}}, "tags"),
    ({"q": "pump", "min_trust": {"gte": "agent"}}, "min_trust"),
    ({"q": "pump", "or": []}, "or"),
]


@pytest.fixture(scope="module")
def callers(embedded_rows):
    with embedded_rows():
        workspace = make_workspace("greenhouse")
        with workspace_scope(workspace.id):
            make_memory("The pump is off.")
            make_memory("It is what it is.")
        embed_all(workspace)
        return caller(workspace)


@pytest.fixture
def api(callers, embedder, db):
    return callers


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_search_that_cannot_be_made_names_the_field(api, body, field):
    for mode in ("hybrid", "lexical", "semantic"):
        assert list(wrong_fields(api.post("/search", {**body, "mode": mode}))) == [field]


@pytest.mark.parametrize(("body", "field"), BAD[5:8] + BAD[-5:])
def test_it_cannot_be_pinned_either(api, body, field):
    asked = {"name": "pump", "request": body, "expected": [str(nowhere())], "within": 3}
    assert "request" in wrong_fields(api.post("/golden-queries", asked))


def test_several_wrong_fields_are_all_named(api):
    body = {"q": "pump", "limit": 0, "kinds": ["photo"], "metadata": {"a": {"like": 1}}}
    assert set(wrong_fields(api.post("/search", body))) == {
        "limit", "kinds[0]", "metadata.a.like",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"q": ""}, "q"),
        ({"q": "x" * 100_000}, "q"),
        ({"q": "pump", "kinds": "photo"}, "kinds[0]"),
        ({"q": "pump", "limit": 101}, "limit"),
        ({"q": "pump", "as_of": TOMORROW}, "as_of"),
    ],
)
def test_context_cannot_be_asked_for_so_either(api, asked, field):
    assert list(wrong_fields(api.get("/context", **asked))) == [field]


ODD = [
    "the", "it is what it is", "?", "...!?", "-", '"', '""', "--", "@#$%^&*()", "\u200b", "🌱",
    "\\", "1200 years before 1200 years ago",
]  # fmt: skip


@pytest.mark.parametrize("q", ODD)
@pytest.mark.parametrize("mode", ["hybrid", "lexical", "semantic"])
def test_stop_words_and_punctuation_are_answered(api, q, mode):
    answer = made(api.post("/search", {"q": q, "mode": mode}))
    # By meaning where the mode looks at it, else the newest rows: never an empty-handed shrug.
    assert answer["legs"]
    assert answer["legs"] != ["recent"] or len(answer["hits"]) == 2
    narrowed = {"q": q, "mode": mode, "kinds": ["memory"], "metadata": {"x": {"exists": False}}}
    assert made(api.post("/search", narrowed))["legs"] == answer["legs"]


def test_the_most_that_is_taken_is_answered(api):
    assert made(api.post("/search", {"q": "pump " * 1638, "limit": 100}))["hits"]
    conditions = {f"k{n}": {"ne": n} for n in range(20)}
    assert len(made(api.post("/search", {"metadata": conditions}))["hits"]) == 2
