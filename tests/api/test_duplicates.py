"""The same memory again is counted; nearly the same is proposed, and merged by somebody only."""

# ruff: noqa: F811  (fixtures of the search tests, by their names)
import psycopg
import pytest
from django.db import IntegrityError
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib.scope import workspace_scope
from contacts.models import Revision
from memory import tasks
from memory.models import Memory, MemoryDuplicate
from memory.models.duplicates import Kept
from memory.models.passage import Lane
from memory.services import duplicates
from memory.services.duplicates import merge_duplicate, propose
from memory.services.embedding import embed_pending
from memory.services.memories import update_memory
from tests.api.caller import Caller, all_items, caller, made, problem
from tests.api.test_concurrency import WRITERS, alike, at_once, statuses
from tests.factories import ALICE, make_memory
from tests.search.asking import ask, ask_fully, embed_all
from tests.search.conftest import _nothing_kept, embedder  # noqa: F401

PAIRS = "/memories/duplicates"
TABS = "Alice prefers tabs over spaces in Go code"
TABS_TOO = "In Go code Alice prefers tabs over spaces"


def count(workspace) -> int:
    with workspace_scope(workspace.id):
        return Memory.objects.count()


# --- The very same ------------------------------------------------------------------------------


def test_the_same_again_is_the_row_that_is_there_counted(api, workspace):
    first = api.post("/memories", {"text": TABS, "tags": ["go"]})
    assert first.status_code == 201
    assert first.json()["repeat_count"] == 0
    again = api.post("/memories", {"text": f"  {TABS.replace(' ', '  ')} ", "tags": ["go"]})
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    assert (again.json()["repeat_count"], again.json()["text"]) == (1, TABS)
    assert again.json()["last_repeated_at"]
    assert again["Location"] == first["Location"]
    # Neither a version nor a Revision: nothing was changed.
    assert again["ETag"] == first["ETag"]
    history = made(api.get(f"/memories/{first.json()['id']}/history"))["items"]
    assert [one["action"] for one in history] == ["create"]
    assert "repeat_key" not in history[0]["after"]
    assert count(workspace) == 1


def test_where_it_was_said_makes_no_difference(api, workspace):
    for name in ("monday", "tuesday"):
        session = made(api.post("/sessions", {"name": name}))["id"]
        made(api.post("/memories", {"text": TABS, "session_id": session}))
    assert count(workspace) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "fact"},
        {"tags": ["go"]},
        {"confidence": 0.9},
        {"data": {"a": 1}},
        {"valid_from": "2026-01-01T00:00:00Z"},
        {"recorded_at": "2026-01-01T00:00:00Z"},
        {"external_id": "x1"},
        {"evidence": [{"uri": "https://example.org"}]},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_says_more_is_a_memory_of_its_own_and_repeated_itself(api, workspace, more):
    made(api.post("/memories", {"text": TABS}))
    first = api.post("/memories", {"text": TABS, **more})
    assert first.status_code == 201
    again = api.post("/memories", {"text": TABS, **more})
    assert again.status_code == (201 if "evidence" in more else 200)
    assert (again.json()["id"] == first.json()["id"]) is ("evidence" not in more)


def test_what_another_agent_project_or_workspace_says_is_its_own(api, workspace, stranger):
    project = made(api.post("/projects", {"title": "Greenhouse"}))["id"]
    ids = {
        made(one.post("/memories", body))["id"]
        for one in (api, caller(workspace, agent="codex"), stranger)
        for body in ({"text": TABS}, {"text": TABS, "project_id": project})
        if one is not stranger or "project_id" not in body
    }
    assert len(ids) == 5


def test_a_memory_that_was_changed_or_left_is_not_repeated(api, workspace):
    ids = []
    for change in ({"state": "archived"}, {"text": "Other"}, {"tags": ["go"]}):
        row = made(api.post("/memories", {"text": TABS}))
        ids.append(row["id"])
        made(api.patch(f"/memories/{row['id']}", change, if_match="*"))
    assert len(set(ids)) == 3
    # What is again as it was, is the same again.
    made(api.patch(f"/memories/{ids[2]}", {"tags": []}, if_match="*"))
    assert made(api.post("/memories", {"text": TABS}))["id"] == ids[2]


def test_what_expired_is_known_anew(api, workspace):
    row = made(api.post("/memories", {"text": TABS}))
    past = {"expires_at": "2026-01-01T00:00:00Z"}
    made(api.patch(f"/memories/{row['id']}", past, if_match="*"))
    assert made(api.post("/memories", {"text": TABS}))["id"] != row["id"]


def test_a_key_that_was_left_behind_stops_nobody(api, workspace):
    """Written past the service, as an erasure does."""
    row = made(api.post("/memories", {"text": TABS}))
    with workspace_scope(workspace.id):
        Memory.objects.update(state="erased")
    again = api.post("/memories", {"text": TABS})
    assert again.status_code == 201
    assert again.json()["id"] != row["id"]
    assert api.post("/memories", {"text": TABS}).json()["id"] == again.json()["id"]


def test_a_request_sent_again_is_no_repeat(api, workspace):
    send = {"body": {"text": TABS}, "idempotency_key": "k1"}
    first = api.post("/memories", **send)
    again = api.post("/memories", **send)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    other = api.post("/memories", {"text": TABS}, idempotency_key="k2")
    assert (other.status_code, other.json()["repeat_count"]) == (200, 1)


def test_a_batch_says_which_were_there(api, workspace):
    texts = [TABS, "Bob prefers spaces", TABS]
    answer = made(api.post("/memories/batch", {"memories": [{"text": text} for text in texts]}))
    assert [one["created"] for one in answer["items"]] == [True, True, False]
    assert answer["created"] == 2
    assert answer["items"][0]["id"] == answer["items"][2]["id"]


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_one_makes_it_and_all_are_counted(workspace):
    api = caller(workspace)
    answers = at_once([lambda one=one: one.post("/memories", {"text": TABS}) for one in alike(api)])
    assert statuses(answers) == {201: 1, 200: WRITERS - 1}
    assert len({one.json()["id"] for one in answers}) == 1
    with workspace_scope(workspace.id):
        assert Memory.objects.get().repeat_count == WRITERS - 1
        assert Revision.objects.filter(model="memory.memory").count() == 1


# --- Nearly the same ------------------------------------------------------------------------------


@pytest.fixture
def pair(api: Caller, workspace, embedder) -> dict:
    """Two memories that say the same, proposed by the job."""
    older = made(api.post("/memories", {"text": TABS, "tags": ["go"]}))
    newer = made(api.post("/memories", {"text": TABS_TOO, "tags": ["style"]}))
    made(api.post("/memories", {"text": "The pump starts at noon"}))
    embed_all(workspace)
    assert propose(workspace.id) == (1, False)
    (found,) = made(api.get(PAIRS))["items"]
    assert (found["older"]["id"], found["newer"]["id"]) == (older["id"], newer["id"])
    return found


def state(api: Caller, row_id: str) -> str:
    return made(api.get(f"/memories/{row_id}"))["state"]


def test_nearly_the_same_is_proposed_once_and_nothing_is_merged(api, workspace, pair):
    assert (pair["state"], pair["kept"], pair["overlap"]) == ("open", "", 1.0)
    assert pair["similarity"] > 0.99
    assert {state(api, pair[one]["id"]) for one in ("older", "newer")} == {"active"}
    with workspace_scope(workspace.id):
        Memory.objects.update(compared_at=None)
    assert propose(workspace.id) == (0, False)
    assert made(api.get(f"{PAIRS}/{pair['id'][-10:]}")) == pair


@pytest.mark.parametrize("keep", ["older", "newer"])
def test_a_merge_keeps_one_supersedes_the_other_and_is_undone(api, workspace, pair, keep):
    lose = "newer" if keep == "older" else "older"
    made(api.post("/memories", {"text": pair[lose]["text"], "tags": pair[lose]["tags"]}))
    before = {one: made(api.get(f"/memories/{pair[one]['id']}")) for one in (keep, lose)}
    merged = made(api.post(f"{PAIRS}/{pair['id']}/merge", {"keep": keep, "reason": "same"}))
    assert merged["kept"]["id"] == pair[keep]["id"]
    assert sorted(merged["kept"]["tags"]) == ["go", "style"]
    kept, lost = (made(api.get(f"/memories/{pair[one]['id']}")) for one in (keep, lose))
    assert (lost["state"], lost["superseded_by_id"]) == ("superseded", kept["id"])
    assert lost["text"] == pair[lose]["text"]
    assert kept["repeat_count"] == 2
    (link,) = kept["links"]
    assert (link["relation"], link["source_id"], link["target_id"]) == (
        "supersedes", kept["id"], lost["id"],
    )  # fmt: skip
    with workspace_scope(workspace.id):
        assert [str(hit.id) for hit in ask("tabs").hits] == [kept["id"]]
    assert made(api.get(PAIRS))["items"] == []
    (row,) = made(api.get(PAIRS, state="merged"))["items"]
    assert (row["kept"], row["version"]) == (keep, 2)
    history = made(api.get(f"/memories/{lost['id']}/history"))["items"]
    assert (history[0]["action"], history[0]["reason"]) == ("merge", "same")
    # What was superseded may be said anew: it is another memory.
    assert problem(api.post(f"{PAIRS}/{pair['id']}/merge", {"keep": keep}), 409)["code"] == (
        "decided"
    )

    made(api.post(f"{PAIRS}/{pair['id']}/unmerge"))
    for one in (keep, lose):
        now = made(api.get(f"/memories/{pair[one]['id']}"))
        same = ("text", "state", "superseded_by_id", "links", "tags", "repeat_count")
        assert {name: now[name] for name in same} == {name: before[one][name] for name in same}
    assert [one["id"] for one in made(api.get(PAIRS))["items"]] == [pair["id"]]
    assert problem(api.post(f"{PAIRS}/{pair['id']}/unmerge"), 409)["code"] == "not_merged"


def test_dismissed_it_is_not_proposed_again(api, workspace, pair):
    made(api.post(f"{PAIRS}/{pair['id']}/dismiss", {"version": 1}))
    with workspace_scope(workspace.id):
        Memory.objects.update(compared_at=None)
    assert propose(workspace.id)[0] == 0
    assert made(api.get(PAIRS))["items"] == []
    (row,) = all_items(api, PAIRS, state="all")
    assert (row["state"], row["kept"]) == ("dismissed", "")
    assert problem(api.post(f"{PAIRS}/{pair['id']}/merge", {}), 409)["code"] == "decided"


def test_who_read_another_version_is_told(api, workspace, pair):
    for action in ("merge", "dismiss"):
        problem(api.post(f"{PAIRS}/{pair['id']}/{action}", {"version": 7}), 412)


def test_an_agent_supersedes_nothing_that_a_person_vouched_for(api, workspace, pair):
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=pair["older"]["id"], changes={"trust": "operator"})
    answer = api.post(f"{PAIRS}/{pair['id']}/merge", {"keep": "newer"})
    assert problem(answer, 403)["code"] == "trusted_by_person"
    assert state(api, pair["newer"]["id"]) == "active"


def test_an_agent_neither_keeps_what_is_less_trusted_nor_parts_what_a_person_merged(
    api, workspace, pair
):
    older, newer = pair["older"]["id"], pair["newer"]["id"]
    made(api.patch(f"/memories/{newer}", {"trust": "external"}, if_match="*"))
    answer = api.post(f"{PAIRS}/{pair['id']}/merge", {"keep": "newer"})
    assert problem(answer, 403)["code"] == "trust_ceiling"
    with workspace_scope(workspace.id):
        merge_duplicate(actor=ALICE, duplicate_id=pair["id"], keep=Kept.OLDER)
    assert problem(api.post(f"{PAIRS}/{pair['id']}/unmerge"), 403)["code"] == "put_away"
    change = api.patch(f"/memories/{newer}", {"state": "active"}, if_match="*")
    assert problem(change, 403)["code"] == "put_away"
    (link,) = made(api.get(f"/memories/{older}"))["links"]
    problem(api.delete(f"/memories/{older}/links/{link['id']}"), 403)
    assert state(api, newer) == "superseded"


def test_what_is_not_in_use_any_more_is_not_merged(api, workspace, pair):
    row_id = pair["older"]["id"]
    made(api.patch(f"/memories/{row_id}", {"state": "archived"}, if_match="*"))
    answer = api.post(f"{PAIRS}/{pair['id']}/merge", {})
    assert problem(answer, 409)["code"] == "not_active"


def test_a_merge_that_was_changed_since_is_not_undone(api, workspace, pair):
    made(api.post(f"{PAIRS}/{pair['id']}/merge", {}))
    made(api.patch(f"/memories/{pair['older']['id']}", {"state": "active"}, if_match="*"))
    answer = api.post(f"{PAIRS}/{pair['id']}/unmerge")
    assert problem(answer, 409)["code"] == "changed_since"


def test_a_pair_goes_with_its_memories(api, workspace, pair):
    assert api.delete(f"/memories/{pair['older']['id']}", if_match="*").status_code == 204
    assert all_items(api, PAIRS, state="all") == []


@pytest.mark.parametrize("body", [{"keep": "both"}, {"keep": None}, {"version": 0}, {"what": 1}])
def test_a_bad_request_names_the_field(api, workspace, pair, body):
    answer = problem(api.post(f"{PAIRS}/{pair['id']}/merge", body), 422)
    assert [one["field"] for one in answer["errors"]] == list(body)


def test_a_text_that_changed_is_compared_anew(api, workspace, embedder, pair):
    pump = made(api.get("/memories", limit=1))["items"][0]
    made(api.patch(f"/memories/{pump['id']}", {"text": f"In code {TABS}"}, if_match="*"))
    embed_all(workspace)
    assert propose(workspace.id)[0] > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Listens on port 8472 in the greenhouse", "Listens on port 8473 in the greenhouse"),
        ("Squash all commits before merging them", "Never squash all commits before merging them"),
        ("The flag is enabled in the shop", "The flag isn't enabled in the shop"),
        ("Der Dienst läuft nachts", "Der Dienst läuft nachts nicht"),
        ("The dog chased a ball", "A cat slept on the sofa all day"),
    ],
)
def test_what_says_something_else_in_nearly_the_same_words_is_not_alike(one, other):
    assert duplicates.alike(one, other) is None
    assert duplicates.alike(one, one) == 1.0


def test_another_agents_or_projects_memory_is_not_proposed(workspace, embedder):
    mine, theirs = caller(workspace), caller(workspace, agent="codex")
    project = made(mine.post("/projects", {"title": "Greenhouse"}))["id"]
    made(mine.post("/memories", {"text": TABS}))
    made(theirs.post("/memories", {"text": TABS_TOO}))
    made(mine.post("/memories", {"text": TABS_TOO, "project_id": project}))
    embed_all(workspace)
    assert propose(workspace.id) == (0, False)
    with workspace_scope(workspace.id):
        assert not Memory.objects.filter(compared_at=None).exists()


def test_the_job_comes_after_the_embedding_and_the_sweep_finds_what_it_missed(
    workspace,
    embedder,
    monkeypatch,
):
    monkeypatch.setattr(tasks, "COLLECT_SECONDS", 0.0)
    # A turn that a busy machine does not cut short.
    monkeypatch.setattr(tasks, "COMPARING_SECONDS", 60.0)
    monkeypatch.setattr(tasks.embedding, "SLICE_SECONDS", {Lane.INTERACTIVE: 60, Lane.BULK: 60})
    monkeypatch.setattr(tasks, "get_embedder", lambda: embedder)
    monkeypatch.setattr(duplicates, "COMPARED_AT_ONCE", 2)
    with workspace_scope(workspace.id):
        for n in range(5):
            make_memory(f"Word{n} " * 5)
        make_memory(TABS)
        make_memory(TABS_TOO)
    # What has no vector yet waits.
    tasks.propose_duplicates(str(workspace.id))
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(compared_at=None).count() == 7
    waiting = ProcrastinateJob.objects.filter(task_name="memory.propose_duplicates", status="todo")
    waiting._raw_delete("default")
    tasks.embed_passages(str(workspace.id), 0)
    assert waiting.count() == 1
    waiting._raw_delete("default")
    tasks.sweep_passages(0)
    assert [job.args for job in waiting] == [{"workspace_id": str(workspace.id)}]
    tasks.propose_duplicates(str(workspace.id))
    with workspace_scope(workspace.id):
        assert MemoryDuplicate.objects.count() == 1
        assert not Memory.objects.filter(compared_at=None).exists()


def test_many_alike_are_few_proposals(workspace, embedder, monkeypatch):
    with workspace_scope(workspace.id):
        for n in range(8):
            words = TABS.split()
            make_memory(" ".join(words[n:] + words[:n]))
    embed_all(workspace)
    assert 0 < propose(workspace.id)[0] <= 8 * duplicates.MOST_PROPOSED


@pytest.mark.slow
def test_the_thresholds_on_real_sentences(workspace):
    """By the real model."""
    near = [
        ("User wants short answers without preamble.",
         "The user wants short answers, without any preamble."),
        ("The staging database is on db-staging-2 and is reset every Monday.",
         "Staging database: db-staging-2, reset every Monday."),
        ("Die Datenbankverbindung bricht ab, sobald der Server neu gestartet wird.",
         "Sobald der Server neu gestartet wird, bricht die Datenbankverbindung ab."),
        ("Ada Lovelace works at Analytical Engines as head of research.",
         "Ada Lovelace is head of research at Analytical Engines."),
    ]  # fmt: skip
    far = [
        ("The pump starts at noon.", "The pump stops at noon."),
        ("The nightly backup runs at 02:00 UTC.", "The nightly backup runs at 03:00 UTC."),
        ("getUserName returns null for guests.", "getUserEmail returns null for guests."),
        ("Always squash commits before merging.", "Never squash commits before merging."),
    ]
    with workspace_scope(workspace.id):
        for texts in (*near, *far):
            for text in texts:
                make_memory(text)
    while embed_pending(workspace.id, seconds=60).waiting is not None:
        continue
    assert ask_fully(workspace, "pump").not_embedded == 0
    assert propose(workspace.id) == (len(near), False)
    with workspace_scope(workspace.id):
        pairs = MemoryDuplicate.objects.select_related("older", "newer")
        assert {(row.older.text, row.newer.text) for row in pairs} == set(near)


def test_what_goes_while_it_is_compared_is_no_failure(workspace, settings, monkeypatch):
    settings.EMBEDDING_PROVIDER = "none"
    compare, tried = duplicates.contradictions.propose_for, []

    def gone_at_first(*given):
        tried.append(1)
        if len(tried) == 1:
            raise IntegrityError from psycopg.errors.ForeignKeyViolation()
        return compare(*given)

    monkeypatch.setattr(duplicates.contradictions, "propose_for", gone_at_first)
    with workspace_scope(workspace.id):
        make_memory(TABS)
    tasks.propose_duplicates(str(workspace.id))
    assert len(tried) == 2
    with workspace_scope(workspace.id):
        assert not Memory.objects.filter(compared_at=None).exists()
