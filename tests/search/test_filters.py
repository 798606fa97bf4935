"""Each filter narrows both legs alike, and never to fewer rows than there are."""

from datetime import UTC, datetime, timedelta

import pytest

from config.lib import clock
from config.lib.errors import Invalid
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import Memory
from memory.search import dense
from memory.services.memories import update_memory
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project
from sessions.services.sessions import update_session
from sessions.services.threads import NewMessage, append_messages
from tests.factories import (
    ALICE,
    make_agent,
    make_memory,
    make_session,
    make_thread,
    make_workspace,
    nowhere,
)
from tests.search.asking import ask, ask_fully, embed_all, texts

MAY = datetime(2024, 5, 1, tzinfo=UTC)
JUNE = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def garden_rows(embedded_rows):
    """Rows that differ in one respect each; all of them match "water"."""
    with embedded_rows():
        workspace = make_workspace("garden")
        with workspace_scope(workspace.id):
            project = create_project(actor=ALICE, title="Orangery", description="water house")
            codex = make_agent("codex")
            session = make_session(
                agent=codex, project=project.id, conversation_id="chief-2024-05-01", started_at=MAY
            )
            thread = make_thread(session)
            append_messages(
                actor=ALICE,
                thread_id=thread.id,
                messages=[
                    NewMessage(role="user", content="water message", occurred_at=MAY),
                    NewMessage(role="tool", content="water output", occurred_at=MAY),
                ],
            )
            append_events(
                actor=ALICE,
                session_id=session.id,
                events=[NewEvent("note", text="water event", occurred_at=MAY)],
            )
            make_memory("water fact", kind="fact", tags=["wet", "blue"], recorded_at=JUNE)
            make_memory("water wish", kind="preference", tags=["wet"], recorded_at=JUNE)
            make_memory("water trusted", trust="operator", recorded_at=JUNE)
            make_memory("water aside", state="archived", recorded_at=JUNE)
        embed_all(workspace)
        return workspace, session, thread


@pytest.fixture
def garden(garden_rows, embedder, db):
    return garden_rows


NOTHING_NARROWS = {
    "message", "output", "event", "fact", "wish", "trusted", "aside", "house",
}  # fmt: skip
CASES = [
    ({}, {"message", "output", "event", "fact", "wish", "trusted", "house"}),
    ({"kinds": ["message"]}, {"message", "output"}),
    ({"kinds": ["event", "memory"]}, {"event", "fact", "wish", "trusted"}),
    ({"memory_kinds": ["fact", "preference"]}, {"fact", "wish"}),
    ({"agent": "codex"}, {"message", "output", "event"}),
    ({"project": "Orangery"}, {"message", "output", "event", "house"}),
    ({"conversation": "chief-2024-05-01"}, {"message", "output", "event"}),
    ({"conversation": "chief-1999-01-01"}, set()),
    ({"tags": ["wet"]}, {"fact", "wish"}),
    ({"tags": ["wet", "blue"]}, {"fact"}),
    ({"after": JUNE}, {"fact", "wish", "trusted", "house"}),
    ({"before": JUNE}, {"message", "output", "event"}),
    ({"after": MAY, "before": MAY + timedelta(days=1)}, {"message", "output", "event"}),
    ({"min_trust": "verified"}, {"trusted"}),
    ({"min_trust": "agent"}, {"message", "event", "fact", "wish", "trusted", "house"}),
    ({"states": ["archived"]}, {"aside"}),
    ({"states": ["archived", "active"], "tags": []}, NOTHING_NARROWS),
]


@pytest.mark.parametrize("mode", ["lexical", "semantic", "hybrid"])
@pytest.mark.parametrize(("fields", "wanted"), CASES)
def test_each_filter(garden, mode, fields, wanted):
    found = texts(ask_fully(garden[0], "water", mode=mode, **fields))
    assert {text.split()[-1] for text in found} == wanted
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("fields", "wanted"), CASES[1:])
def test_a_filter_alone_gives_the_newest(garden, fields, wanted):
    answer = ask_fully(garden[0], "", **fields)
    assert answer.legs == ["recent"]
    moments = [hit.occurred_at for hit in answer.hits]
    assert moments == sorted(moments, reverse=True)
    assert wanted - {text.split()[-1] for text in texts(answer)} == set()


def test_ids_and_short_ids_do_for_names(garden):
    workspace, session, _ = garden
    for named in (str(session.id), session.short_id):
        assert len(ask_fully(workspace, "water", session=named).hits) == 3
    with workspace_scope(workspace.id):
        agent, project = str(session.agent_id), str(session.project_id)
    assert len(ask_fully(workspace, "water", agent=agent, project=project).hits) == 3


@pytest.mark.parametrize("field", ["agent", "project", "session"])
def test_a_filter_that_names_nothing_says_so(scoped, field):
    with pytest.raises(Invalid) as caught:
        ask("water", **{field: str(nowhere())})
    assert list(caught.value.errors) == [field]


def test_phrases_and_exclusions_hold_for_meaning_too(garden):
    workspace, *_ = garden
    assert texts(ask_fully(workspace, '"water wish"', mode="semantic")) == ["water wish"]
    found = texts(ask_fully(workspace, "water -fact -message", mode="semantic"))
    assert {text.split()[-1] for text in found} == {"output", "event", "wish", "trusted", "house"}


def test_what_expired_is_out(workspace, embedder):
    with workspace_scope(workspace.id):
        make_memory("water stale", expires_at=clock.now() - timedelta(seconds=1))
        make_memory("water fresh", expires_at=clock.now() + timedelta(hours=1))
    embed_all(workspace)
    for mode in ("lexical", "semantic"):
        assert texts(ask_fully(workspace, "water", mode=mode)) == ["water fresh"]


def test_as_of_gives_what_was_known_and_held_then(workspace, embedder):
    with workspace_scope(workspace.id):
        old = make_memory("water at noon", recorded_at=MAY)
        new = make_memory("water at dawn", recorded_at=JUNE)
        make_memory("water ban", recorded_at=MAY, valid_from=JUNE)
        make_memory("water shortage", recorded_at=MAY, valid_to=JUNE)
        row = funnel.get_row(Memory, old.id, lock=True)
        funnel.update(row, {"state": "superseded", "superseded_by_id": new.id}, actor=ALICE)
    embed_all(workspace)
    for mode in ("lexical", "semantic", "hybrid"):
        known = {
            moment: {text.removeprefix("water ") for text in
                     texts(ask_fully(workspace, "water", mode=mode, as_of=moment))}
            for moment in (MAY - timedelta(days=1), MAY + timedelta(days=1), JUNE, None)
        }  # fmt: skip
        assert list(known.values()) == [
            set(),
            {"at noon", "shortage"},
            {"at dawn", "ban"},
            {"at dawn", "ban", "shortage"},
        ]


def test_a_change_of_state_trust_or_tags_is_followed_at_once(workspace, embedder):
    with workspace_scope(workspace.id):
        memory = make_memory("water at noon", tags=["wet"])
    embed_all(workspace)
    embedder.batches.clear()
    with workspace_scope(workspace.id):
        changes = {"state": "archived", "trust": "verified", "tags": ["dry"]}
        update_memory(actor=ALICE, memory_id=memory.id, changes=changes)
    query = {"states": ["archived"], "min_trust": "verified", "tags": ["dry"]}
    for mode in ("lexical", "semantic"):
        assert texts(ask_fully(workspace, "water", mode=mode, **query)) == ["water at noon"]
        assert texts(ask_fully(workspace, "water", mode=mode)) == []
    embed_all(workspace)
    assert ["water at noon"] not in embedder.batches
    assert texts(ask_fully(workspace, "dry", mode="lexical", states=["archived"])) == [
        "water at noon"
    ]


def test_a_session_takes_what_it_holds_to_another_project(garden):
    workspace, session, _ = garden
    with workspace_scope(workspace.id):
        other = create_project(actor=ALICE, title="Nursery")
        update_session(actor=ALICE, session_id=session.id, changes={"project_id": other.id})
    found = ask_fully(workspace, "water", project="Nursery").hits
    assert {hit.project_id for hit in found} == {other.id}
    assert sorted(hit.kind for hit in found) == ["event", "message", "message"]
    left = ask_fully(workspace, "water", project="Orangery").hits
    assert not {hit.kind for hit in left} & {"event", "message"}


@pytest.fixture(scope="module")
def readings(embedded_rows):
    """Three thousand rows, and three that the filter leaves."""
    with embedded_rows():
        workspace = make_workspace("readings")
        with workspace_scope(workspace.id):
            session = make_session()
            for _ in range(3):
                events = [NewEvent("note", text=f"humidity reading {n} water") for n in range(1000)]
                append_events(actor=ALICE, session_id=session.id, events=events)
            for n in range(3):
                make_memory(f"unlike {n}", tags=["rare"])
        embed_all(workspace)
        return workspace


@pytest.mark.django_db
@pytest.mark.parametrize("approximate", [False, True])
def test_a_filter_of_a_thousandth_finds_all_there_are(readings, embedder, monkeypatch, approximate):
    if approximate:
        monkeypatch.setattr(dense, "_compare_all", lambda *_: False)
    for mode in ("semantic", "hybrid"):
        found = texts(ask_fully(readings, "humidity water", mode=mode, tags=["rare"]))
        assert sorted(found) == ["unlike 0", "unlike 1", "unlike 2"]
        found = ask_fully(readings, "humidity water", mode=mode, limit=100)
        assert len(found.hits) == 100
    assert len(texts(ask_fully(readings, "reading unlike", mode="lexical", tags=["rare"]))) == 3
