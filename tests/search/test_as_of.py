"""`as_of`: what was known then, by when it was recorded, and held then, over the API."""

from datetime import UTC, datetime, timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.models import Memory, MemoryDuplicate, Passage
from memory.services.passages import reindex_workspace
from sessions.services.sessions import update_session
from tests.api.caller import caller, made
from tests.factories import ALICE
from tests.search.asking import embed_all

MARCH, APRIL, MAY = (datetime(2024, month, 1, tzinfo=UTC) for month in (3, 4, 5))
MODES = ("lexical", "semantic", "hybrid")


@pytest.fixture
def api(workspace, embedder):
    return caller(workspace)


@pytest.fixture
def known(api, workspace):
    """The last words of what was known at a moment (None: now), the same in every mode."""

    def known(as_of: datetime | None = None, **fields) -> set[str]:
        embed_all(workspace)
        if as_of is not None:
            fields["as_of"] = as_of.isoformat()
        asked = [{"q": "water", "mode": mode, **fields} for mode in MODES]
        if as_of is not None:
            asked.append(fields)
        found = [
            {hit["text"].split()[-1] for hit in made(api.post("/search", one))["hits"]}
            for one in asked
        ]
        assert all(one == found[0] for one in found)
        return found[0]

    return known


def remember(api, word: str, **fields):
    given = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in fields.items()}
    return made(api.post("/memories", {"text": f"water {word}", **given}))


def test_a_memory_counts_from_when_it_was_learned_and_while_it_holds(api, known):
    remember(api, "always", recorded_at=MARCH)
    remember(api, "later", recorded_at=MAY)
    remember(api, "planned", recorded_at=MARCH, valid_from=MAY)
    remember(api, "over", recorded_at=MARCH, valid_to=APRIL)
    remember(api, "expired", recorded_at=MARCH, expires_at=APRIL)
    remember(api, "unsaid")
    assert known(MARCH - timedelta(seconds=1)) == set()
    assert known(MARCH) == {"always", "over", "expired"}
    # The end of a span is outside of it.
    assert known(APRIL) == {"always"}
    assert known(MAY) == {"always", "later", "planned"}
    # Without as_of only expiry counts.
    assert known() == {"always", "later", "planned", "over", "unsaid"}


def test_what_is_told_later_was_not_known_whenever_it_happened(api, known, workspace):
    before = clock.now()
    session = made(
        api.post("/sessions", {"name": "water session", "started_at": MARCH.isoformat()})
    )
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    said = {"role": "user", "content": "water message", "occurred_at": MARCH.isoformat()}
    made(api.post(f"/threads/{thread['id']}/messages", said))
    happened = {"event_type": "note", "text": "water event", "occurred_at": MARCH.isoformat()}
    made(api.post(f"/sessions/{session['id']}/events", happened))
    after = clock.now()
    assert known(APRIL) == known(before) == set()
    assert known(after) == {"session", "message", "event"}
    # It is found by when it happened all the same.
    assert known(before=APRIL.isoformat()) == {"session", "message", "event"}
    reindex_workspace(workspace.id)
    assert known(before) == set()
    assert known(after) == {"session", "message", "event"}


def test_a_summary_was_not_known_before_the_end_of_its_session(api, known, workspace):
    session = made(api.post("/sessions", {"name": "water session"}))
    running = clock.now()
    assert known(running) == {"session"}
    made(api.post(f"/sessions/{session['id']}/end", {}))
    with workspace_scope(workspace.id):
        update_session(
            actor=ALICE, session_id=session["id"], changes={"summary": "They spoke of water pipes"}
        )
    done = clock.now()
    assert known(running) == set()
    assert known(done) == {"pipes"}


@pytest.mark.parametrize("keep", ["older", "newer"])
def test_what_was_merged_counts_until_the_merge(api, known, workspace, keep):
    older = remember(api, "older", recorded_at=MARCH)
    newer = remember(api, "newer", recorded_at=MAY)
    with workspace_scope(workspace.id):
        pair = MemoryDuplicate.objects.create(
            older=Memory.objects.get(pk=older["id"]),
            newer=Memory.objects.get(pk=newer["id"]),
            similarity=0.99,
            overlap=0.9,
        )
    before = clock.now()
    made(api.post(f"/memories/duplicates/{pair.pk}/merge", {"keep": keep}))
    after = clock.now()
    assert known() == known(after) == {keep}
    assert known(APRIL) == {"older"}
    assert known(MAY) == known(before) == {"older", "newer"}
    lost = newer if keep == "older" else older
    row = made(api.get(f"/memories/{lost['id']}"))
    assert before <= datetime.fromisoformat(row["superseded_at"]) <= after
    # Later edits of what was superseded do not move the moment.
    made(api.patch(f"/memories/{lost['id']}", {"tags": ["old"]}, if_match="*"))
    assert known(after) == {keep}
    made(api.post(f"/memories/duplicates/{pair.pk}/unmerge", {}))
    assert known() == known(before) == {"older", "newer"}
    assert made(api.get(f"/memories/{lost['id']}"))["superseded_at"] is None


def test_what_was_changed_in_place_is_as_it_is_now_and_what_was_deleted_is_gone(api, known):
    corrected = remember(api, "wrong", recorded_at=MARCH)
    deleted = remember(api, "deleted", recorded_at=MARCH)
    archived = remember(api, "archived", recorded_at=MARCH)
    made(api.patch(f"/memories/{corrected['id']}", {"text": "water right"}, if_match="*"))
    made(api.patch(f"/memories/{archived['id']}", {"state": "archived"}, if_match="*"))
    assert api.delete(f"/memories/{deleted['id']}", if_match="*").status_code == 204
    assert known(APRIL) == {"right"}
    assert known(APRIL, states=["archived", "active"]) == {"right", "archived"}


def test_neighbours_that_were_said_later_are_not_shown(api, workspace):
    session = made(api.post("/sessions", {}))
    thread = made(api.post(f"/sessions/{session['id']}/threads", {}))
    for text in ("Is the water on?", "It is."):
        made(api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": text}))
    then = clock.now()
    made(api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": "Not now."}))
    embed_all(workspace)
    asked = {"q": "water on", "mode": "lexical", "neighbours": 2}
    (hit,) = made(api.post("/search", asked))["hits"]
    assert [one["text"] for one in hit["neighbours"]] == ["It is.", "Not now."]
    answer = made(api.post("/search", {**asked, "as_of": then.isoformat()}))
    assert [one["text"] for one in answer["hits"][0]["neighbours"]] == ["It is."]
    answer = made(api.post("/search", {**asked, "mode": "hybrid", "as_of": then.isoformat()}))
    assert {hit["text"] for hit in answer["hits"]} == {"Is the water on?", "It is."}


def test_passages_of_before_count_from_when_it_happened(api, known, workspace):
    session = made(api.post("/sessions", {}))
    happened = {"event_type": "note", "text": "water event", "occurred_at": MARCH.isoformat()}
    made(api.post(f"/sessions/{session['id']}/events", happened))
    with workspace_scope(workspace.id):
        Passage.objects.update(recorded_at=None)
    assert known(APRIL) == {"event"}
