"""What a person or an agent would notice: it is found, at once by words, soon by meaning."""

import pytest

from config.lib.scope import workspace_scope
from memory.search.funnel import search
from memory.search.parse import parse
from memory.search.schemas import SearchAnswer, SearchQuery
from memory.search.vectors import embed_query
from memory.services.embedding import embed_pending
from sessions.services.events import NewEvent, append_events
from sessions.services.threads import NewMessage, append_messages
from tests.factories import ALICE, make_memory, make_session, make_thread


def ask(q: str, **fields: object) -> SearchAnswer:
    return search(query=SearchQuery(q=q, mode="lexical", **fields))


def ask_fully(workspace, q: str, **fields: object) -> SearchAnswer:
    """As the API does: the vector first, then the scope."""
    query = SearchQuery(q=q, **fields)
    vector = embed_query(parse(q).text)
    with workspace_scope(workspace.id):
        return search(query=query, query_vector=vector)


def test_a_memory_is_found_by_its_words_in_the_transaction_that_wrote_it(scoped):
    memory = make_memory("The greenhouse thermostat listens on port 8472.")
    answer = ask("thermostat port")
    assert [hit.id for hit in answer.hits] == [memory.id]
    assert answer.legs == ["lexical"]
    assert answer.not_embedded == 1
    assert answer.hits[0].snippet == (
        "The greenhouse **thermostat** listens on **port** 8472."
    )


@pytest.mark.django_db(transaction=True)
def test_meaning():
    from tests import factories
    w = factories.make_workspace("greenhouse")
    with workspace_scope(w.id):
        make_memory("The dog chased a ball across the lawn.")
        make_memory("Invoices are paid within thirty days.")
        t = make_thread()
        append_messages(actor=ALICE, thread_id=t.id, messages=[NewMessage(role="user", content="fix getUserName in src/app/userService.ts")])
        append_events(actor=ALICE, session_id=t.session_id, events=[NewEvent("error", text="TypeError: cannot read properties of undefined")])
    print(embed_pending(w.id, seconds=20))
    for q in ["a puppy playing outside", "userService", "user name", "when must bills be settled", "undefined properties", "the of", "\"thirty days\" -dog"]:
        a = ask_fully(w, q, explain=True)
        print(q, a.legs, a.semantic_unavailable, a.not_embedded)
        for h in a.hits: print('   ', h.score, h.kind, h.snippet, h.explain.bm25, h.explain.cosine)
