"""Memories past `expires_at`: archived by a job, found as of before, back when they hold again."""

from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Revision
from memory import tasks_retention
from memory.models import Memory, Passage
from memory.models.memory import MemoryState
from memory.services import expiry
from memory.services.memories import update_memory
from memory.verify.index import check
from memory.verify.report import Options
from tests.api.caller import made, problem
from tests.factories import ALICE, make_memory


@pytest.fixture(autouse=True)
def _by_words(settings):
    settings.EMBEDDING_PROVIDER = "none"


@pytest.fixture
def over():
    """(a while ago, when it expired)."""
    now = clock.now()
    return now - timedelta(days=20), now - timedelta(days=10)


def remember(api, word, **fields):
    given = {
        name: getattr(value, "isoformat", lambda v=value: v)() for name, value in fields.items()
    }
    return made(api.post("/memories", {"text": f"water {word}", **given}))["id"]


def found(api, **fields):
    body = {"q": "water", "mode": "lexical", "kinds": ["memory"], **fields}
    return {hit["text"].split()[-1] for hit in made(api.post("/search", body))["hits"]}


def state_of(api, pk):
    row = made(api.get(f"/memories/{pk}"))
    return row["state"]


def listed(api, state):
    rows = made(api.get(f"/memories?state={state}"))["items"]
    return {row["text"].split()[-1] for row in rows}


def test_a_job_archives_what_is_past_its_time_and_says_so(api, rows, over):
    then, ended = over
    gone = remember(api, "gone", recorded_at=then, expires_at=ended)
    remember(api, "lasting", recorded_at=then)
    remember(api, "fresh", recorded_at=then, expires_at=clock.now() + timedelta(days=1))
    waits = remember(api, "waiting", recorded_at=then, expires_at=ended, state="quarantined")
    # Nobody sees it since that moment, whenever the job comes.
    assert found(api) == {"lasting", "fresh"}
    tasks_retention.expire_memories(0)
    assert state_of(api, gone) == "archived"
    assert state_of(api, waits) == "quarantined"
    assert (listed(api, "active"), listed(api, "archived")) == ({"lasting", "fresh"}, {"gone"})
    assert found(api) == {"lasting", "fresh"}
    told = rows(Revision, object_id=gone).pop()
    assert (told.action, told.actor_id, told.channel) == ("expire", "expiry", "job")
    assert (told.before["state"], told.after["state"]) == ("active", "archived")
    tasks_retention.expire_memories(0)
    assert len(rows(Revision, object_id=gone)) == 2


def test_it_is_found_as_of_before_and_what_a_person_archived_is_not(api, over):
    then, ended = over
    remember(api, "gone", recorded_at=then, expires_at=ended)
    put_away = remember(api, "away", recorded_at=then, expires_at=clock.now() + timedelta(days=1))
    made(api.patch(f"/memories/{put_away}", {"state": "archived"}, if_match="*"))
    before, at = ended - timedelta(seconds=1), ended
    for _ in range(2):  # before the job, and after it
        assert found(api, as_of=before.isoformat()) == {"gone"}
        assert found(api, as_of=at.isoformat()) == set()
        assert found(api, as_of=(then - timedelta(days=1)).isoformat()) == set()
        tasks_retention.expire_memories(0)
    assert found(api) == set()
    assert found(api, states=["archived"]) == {"gone", "away"}


@pytest.mark.parametrize("later", ["2099-01-01T00:00:00Z", None])
def test_it_is_back_in_use_when_it_holds_again(api, workspace, over, later):
    then, ended = over
    pk = remember(api, "gone", recorded_at=then, expires_at=ended)
    tasks_retention.expire_memories(0)
    told = problem(api.patch(f"/memories/{pk}", {"state": "active"}, if_match="*"), 409)
    assert told["code"] == "expired"
    back = made(api.patch(f"/memories/{pk}", {"expires_at": later}, if_match="*"))
    assert back["state"] == "active"
    assert found(api) == {"gone"}
    # Taken back, it is as it was: expired then, and found as of before.
    with workspace_scope(workspace.id):
        change = str(Revision.objects.filter(object_id=pk).latest("id").pk)
    made(api.post(f"/revisions/{change}/undo", {}))
    assert state_of(api, pk) == "archived"
    assert found(api, as_of=(ended - timedelta(days=1)).isoformat()) == {"gone"}


def test_no_agent_brings_back_what_a_person_archived_after_its_time(api, workspace, over):
    then, ended = over
    pk = remember(api, "gone", recorded_at=then, expires_at=ended)
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=pk, changes={"state": "archived"})
    for wanted in ({"expires_at": None}, {"state": "active", "expires_at": None}):
        told = problem(api.patch(f"/memories/{pk}", wanted, if_match="*"), 403)
        assert told["code"] == "put_away"


def test_an_expiry_is_moved_within_what_is_over(api, over):
    then, ended = over
    pk = remember(api, "gone", recorded_at=then, expires_at=ended)
    tasks_retention.expire_memories(0)
    sooner = ended - timedelta(days=5)
    row = made(api.patch(f"/memories/{pk}", {"expires_at": sooner.isoformat()}, if_match="*"))
    assert row["state"] == "archived"
    assert found(api, as_of=(ended - timedelta(days=1)).isoformat()) == set()
    assert found(api, as_of=(sooner - timedelta(days=1)).isoformat()) == {"gone"}


def test_who_says_another_state_with_it_is_heard(api, over):
    then, ended = over
    pk = remember(api, "gone", recorded_at=then, expires_at=ended)
    tasks_retention.expire_memories(0)
    asked = {"expires_at": None, "state": "archived"}
    assert made(api.patch(f"/memories/{pk}", asked, if_match="*"))["state"] == "archived"
    assert found(api, as_of=(ended - timedelta(days=1)).isoformat()) == set()


def test_what_it_says_may_be_saved_again(api, over):
    then, ended = over
    old = remember(api, "gone", recorded_at=then, expires_at=ended)
    tasks_retention.expire_memories(0)
    assert remember(api, "gone") != old
    assert found(api) == {"gone"}


def test_the_index_is_as_the_rows_say(api, workspace, over):
    then, ended = over
    pk = remember(api, "gone", recorded_at=then, expires_at=ended)
    tasks_retention.expire_memories(0)
    with workspace_scope(workspace.id):
        assert Passage.objects.get(of_memory=pk).state == "expired"
    assert [one.problems for one in check(workspace.id, Options()) if one.problems] == []


def test_batches_are_all_done_and_each_is_a_transaction(workspace, monkeypatch, over):
    _, ended = over
    monkeypatch.setattr(expiry, "BATCH", 3)
    with workspace_scope(workspace.id):
        for n in range(7):
            make_memory(f"Number {n}", expires_at=ended)
    assert expiry.expire_due(workspace.id) == 7
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(state=MemoryState.ARCHIVED).count() == 7
    assert expiry.expire_due(workspace.id) == 0
