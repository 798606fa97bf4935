"""What a person or an agent would notice: it is found, at once by words, soon by meaning."""

from math import exp

import pytest

from config.lib.scope import workspace_scope
from memory.models.passage import PassageKind
from memory.search import vectors
from memory.search.ranking import EVEN, STEEPNESS
from memory.services.embedding import embed_pending
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project
from sessions.services.sessions import end_session
from sessions.services.threads import NewMessage, append_messages
from tests.factories import ALICE, make_memory, make_session, make_thread
from tests.search.asking import ask, ask_fully, embed_all

NOTES = {
    "pets": "The dog chased a ball across the lawn until it was dark.",
    "bills": "Invoices are paid within thirty days, or the supplier charges interest.",
    "code": "getUserName in src/app/userService.ts returns null for guests.",
    "error": "TypeError: cannot read properties of undefined (reading 'map') at render.tsx:48",
    "decision": "We decided to keep sessions in PostgreSQL and to drop the Redis cluster.",
    "german": "Die Datenbankverbindung bricht ab, sobald der Server neu gestartet wird.",
    "japanese": "サーバーが再起動されるたびに接続が失われます。",
    "env": "Set REMEMBRANCER_DATA_DIR before make run; max_wal_size stays at its default.",
}


def remember_all() -> dict[str, str]:
    return {str(make_memory(text).id): name for name, text in NOTES.items()}


def test_a_memory_is_found_by_its_words_in_the_transaction_that_wrote_it(scoped):
    memory = make_memory("The greenhouse thermostat listens on port 8472.")
    answer = ask("thermostat port")
    assert [hit.id for hit in answer.hits] == [memory.id]
    assert answer.legs == ["lexical"]
    assert (answer.passages, answer.not_embedded) == (1, 1)
    hit = answer.hits[0]
    assert hit.snippet == "The greenhouse **thermostat** listens on **port** 8472."
    assert (hit.kind, hit.memory_kind, hit.trust, hit.state) == (
        "memory", "observation", "agent", "active",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("q", "name"),
    [
        ("chasing balls", "pets"),
        ("getUserName", "code"),
        ("user name", "code"),
        ("userService.ts", "code"),
        ("src/app", "code"),
        ("user_service", "code"),
        ("cannot read properties of undefined", "error"),
        ("render.tsx", "error"),
        ("redis", "decision"),
        ("Datenbankverbindung", "german"),
        ("再起動", "japanese"),
        ("maxWalSize", "env"),
        ("REMEMBRANCER_DATA_DIR", "env"),
        ("data dir", "env"),
        ('"thirty days"', "bills"),
        ("invoices OR (supplier & !interest) <-> '; DROP TABLE x; --", "bills"),
    ],
)
def test_exact_words_identifiers_paths_and_messages(scoped, q, name):
    names = remember_all()
    assert names[str(ask(q).hits[0].id)] == name


@pytest.mark.parametrize("q", ['"days thirty"', "zucchini", "Invoices -supplier"])
def test_what_does_not_occur_is_not_found(scoped, q):
    remember_all()
    assert ask(q).hits == []


def test_every_kind_of_row_is_found_with_what_surrounds_it(scoped):
    project = create_project(actor=ALICE, title="Orangery", description="A heated glasshouse.")
    session = make_session(project=project.id, name="Night watch", conversation_id="chief-1")
    thread = make_thread(session)
    [message], _ = append_messages(
        actor=ALICE,
        thread_id=thread.id,
        messages=[NewMessage(role="user", content="Why does the boiler hum?")],
    )
    [event, silent], _ = append_events(
        actor=ALICE,
        session_id=session.id,
        events=[
            NewEvent("note", text="Boiler pressure fell"),
            NewEvent("tick", data={"boiler": 1}),
        ],
    )
    end_session(actor=ALICE, session_id=session.id, summary="The boiler was bled and is quiet.")
    found = {hit.kind: hit for hit in ask("boiler", limit=20).hits}
    assert {kind: hit.id for kind, hit in found.items()} == {
        PassageKind.MESSAGE: message.id,
        PassageKind.EVENT: event.id,
        PassageKind.SUMMARY: session.id,
    }
    for hit in found.values():
        assert (hit.session_id, hit.session) == (session.id, "Night watch")
        assert (hit.conversation_id, hit.agent) == ("chief-1", "claude-code")
        assert (hit.project_id, hit.project) == (project.id, "Orangery")
    assert (found[PassageKind.MESSAGE].thread_id, found[PassageKind.MESSAGE].idx) == (thread.id, 0)
    assert [hit.id for hit in ask("glasshouse").hits] == [project.id]
    assert silent.id not in {hit.id for hit in ask("tick boiler").hits}


def test_a_long_row_comes_once_by_its_best_part(scoped):
    filler = "Nothing of note happened in the greenhouse on that day, again. " * 40
    text = f"# Log\n\n{filler}\n\n## Alarm\n\nThe boiler alarm rang at noon.\n\n{filler} boiler"
    memory = make_memory(text)
    answer = ask("boiler alarm")
    assert [hit.id for hit in answer.hits] == [memory.id]
    hit = answer.hits[0]
    assert hit.chunks > 3
    assert 0 < hit.chunk < hit.chunks
    assert "**boiler** **alarm** rang" in hit.snippet
    assert len(hit.snippet) < 400


def test_tags_are_words_of_a_memory(scoped):
    memory = make_memory("Water at noon.", tags=["horticulture"])
    assert [hit.id for hit in ask("horticulture").hits] == [memory.id]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("q", "name"),
    [
        ("a puppy playing outside", "pets"),
        ("when must we settle what we owe", "bills"),
        ("which storage was chosen for logins", "decision"),
        ("undefined is not an object", "error"),
    ],
)
def test_meaning_without_shared_words(workspace, q, name):
    """By the real model, after the job has run."""
    with workspace_scope(workspace.id):
        names = remember_all()
    assert embed_pending(workspace.id, seconds=60).embedded == len(NOTES)
    for mode in ("semantic", "hybrid"):
        answer = ask_fully(workspace, q, mode=mode)
        assert names[str(answer.hits[0].id)] == name
        assert "semantic" in answer.legs
        assert (answer.not_embedded, answer.semantic_unavailable) == (0, None)


@pytest.mark.parametrize("q", ["the of and", "?!.,;", "-- ()", "'", "\\", "😀"])
def test_a_query_without_a_searchable_word_still_answers(workspace, embedder, q):
    with workspace_scope(workspace.id):
        first, second = make_memory("One."), make_memory("Two.")
        answer = ask(q)
    assert answer.legs in (["recent"], ["lexical"])
    if answer.legs == ["recent"]:
        assert [hit.id for hit in answer.hits] == [second.id, first.id]
    embed_pending(workspace.id, seconds=10)
    answer = ask_fully(workspace, q)
    assert "semantic" in answer.legs
    assert len(answer.hits) == 2


def test_what_was_just_written_is_not_behind_everything_that_has_a_vector(workspace, embedder):
    with workspace_scope(workspace.id):
        for number in range(30):
            make_memory(f"Seedling tray {number} was watered.")
    embed_pending(workspace.id, seconds=10)
    with workspace_scope(workspace.id):
        fresh = make_memory("The seedling thermostat was replaced.")
    answer = ask_fully(workspace, "seedling thermostat")
    assert answer.hits[0].id == fresh.id
    assert answer.not_embedded == 1


def test_a_search_says_why_it_is_by_words_alone(workspace, embedder, monkeypatch):
    with workspace_scope(workspace.id):
        make_memory("Water at noon.")
    answer = ask_fully(workspace, "water")
    assert (answer.legs, answer.semantic_unavailable) == (["lexical"], "nothing is embedded yet")
    embed_pending(workspace.id, seconds=10)
    assert ask_fully(workspace, "water").semantic_unavailable is None
    monkeypatch.setattr(embedder, "model", "another")
    vectors.forget()
    assert "manage.py reembed" in (
        ask_fully(workspace, "water", mode="semantic").semantic_unavailable
    )
    monkeypatch.setattr("memory.search.vectors.get_embedder", lambda: None)
    answer = ask_fully(workspace, "water")
    assert answer.semantic_unavailable == "no embedding provider is configured"
    assert len(answer.hits) == 1


def test_explain_says_how_each_hit_scored(workspace, embedder):
    with workspace_scope(workspace.id):
        both = make_memory("Seedlings need water")
        make_memory("Compost needs turning")
    embed_pending(workspace.id, seconds=10)
    hit = ask_fully(workspace, "seedlings water", explain=True).hits[0]
    assert hit.id == both.id
    assert hit.explain.bm25 > 0
    assert hit.explain.cosine == pytest.approx(0.8, abs=0.1)
    assert (hit.explain.bm25_rank, hit.explain.cosine_rank) == (1, 1)
    assert 0.2 < hit.score <= 1.0
    assert hit.explain.parts["words"] > 0
    assert hit.score == pytest.approx(
        1 / (1 + exp(STEEPNESS * (EVEN - sum(hit.explain.parts.values())))), abs=1e-3
    )
    assert ask_fully(workspace, "seedlings water").hits[0].explain is None
    assert len(ask_fully(workspace, "seedlings water", min_score=0.4).hits) == 1


def test_the_same_question_is_embedded_once(workspace, embedder):
    for _ in range(3):
        ask_fully(workspace, "water at noon")
    # Whole, and by its keywords.
    assert embedder.batches == [["water at noon", "water noon"]]


def test_what_means_the_opposite_is_the_last_and_not_left_out(workspace, embedder, monkeypatch):
    one = embedder.one
    monkeypatch.setattr(embedder, "one", lambda text: one(text) * (-1 if "no" in text else 1))
    with workspace_scope(workspace.id):
        make_memory("boiler warm")
        make_memory("no boiler")
    embed_all(workspace)
    found = ask_fully(workspace, "boiler", mode="semantic", kinds=["memory"])
    assert [hit.text for hit in found.hits] == ["boiler warm", "no boiler"]
    assert found.hits[1].score < 0
    found = ask_fully(workspace, "boiler", mode="semantic", min_score=0.01)
    assert [hit.text for hit in found.hits] == ["boiler warm"]


@pytest.mark.parametrize("mode", ["lexical", "semantic", "hybrid"])
def test_the_parts_of_one_long_row_leave_room_for_others(workspace, embedder, mode, monkeypatch):
    """Where the nearest passages are all of one row, more are looked for."""
    monkeypatch.setattr("memory.search.funnel.LEAST_CANDIDATES", 10)
    with workspace_scope(workspace.id):
        long = make_memory("\n\n".join(["quince " * 200] * 24))
        others = {make_memory(f"quince and {'much else ' * n}").id for n in (20, 21, 22)}
    embed_all(workspace)
    answer = ask_fully(workspace, "quince", mode=mode, limit=2)
    assert len(answer.hits) == 2
    answer = ask_fully(workspace, "quince", mode=mode, limit=4)
    assert {hit.id for hit in answer.hits} == {long.id, *others}
    assert answer.hits[0].id == long.id
    assert answer.hits[0].chunks > 20
