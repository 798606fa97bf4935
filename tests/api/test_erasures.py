"""Erasures over REST: proposed, looked at, confirmed; what was erased is refused from then on."""

import uuid

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Erasure, Revision
from contacts.scopes import AGENT_SCOPES
from contacts.services import tombstones
from memory.services import erasures
from tests.api.caller import caller, made, problem
from tests.factories import ALICE, NOBODYS_ID

pytestmark = pytest.mark.django_db


@pytest.fixture
def proposed(api, workspace):
    """An erasure of a memory that was looked at, and the memory."""
    memory = made(api.post("/memories", {"text": "The zorblatt key is in the pot."}))
    body = {"kind": "memory", "target_id": memory["id"], "reason": "asked for it"}
    row = made(api.post("/erasures", body))
    assert (row["state"], row["preview"]["removed"]) == ("looking", {})
    erasures.look_now(workspace.id, uuid.UUID(row["id"]))
    return made(api.get(f"/erasures/{row['id']}")), memory


def test_it_is_looked_at_before_it_is_done(api, proposed):
    row, memory = proposed
    assert row["state"] == "proposed"
    assert row["preview"]["removed"]["memory"] == 1
    assert row["preview"]["named"] == [{"model": "memory.memory", "id": memory["id"]}]
    assert any("backups" in sentence for sentence in row["preview"]["remains"])
    assert made(api.get(f"/memories/{memory['id']}"))["text"].startswith("The zorblatt")
    (listed,) = made(api.get("/erasures"))["items"]
    assert listed == row


def test_it_is_confirmed_by_the_end_of_the_id(api, proposed, workspace):
    row, memory = proposed

    def run(confirm):
        path = f"/erasures/{row['id']}/run"
        return api.call("POST", path, {"confirm": confirm}, if_match="*")

    assert "confirm" in str(problem(run("yes"), 422)["errors"])
    assert made(run(memory["id"][-12:]))["state"] == "running"
    assert problem(run(memory["id"][-12:]), 409)["code"] == "wrong_state"
    assert problem(api.post(f"/erasures/{row['id']}/drop"), 409)["code"] == "wrong_state"


def test_one_that_was_left_is_over(api, proposed, workspace):
    term = made(api.post("/erasures", {"kind": "term", "term": "zorblatt key"}))
    assert "zorblatt" not in str(term)
    erasures.look_now(workspace.id, uuid.UUID(term["id"]))
    assert made(api.post(f"/erasures/{term['id']}/drop"))["state"] == "dropped"
    with workspace_scope(workspace.id):
        row = Erasure.objects.get(pk=term["id"])
        assert row.wanted == ""
        said = [str((one.before, one.after)) for one in Revision.objects.filter(object_id=row.pk)]
    assert not any("zorblatt" in one for one in said)
    assert problem(api.post(f"/erasures/{term['id']}/lift"), 409)["code"] == "wrong_state"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "term", "term": " - "}, "term"),
        ({"kind": "term", "term": "long enough", "target_id": NOBODYS_ID}, "term"),
        ({"kind": "memory"}, "target_id"),
        ({"kind": "everything"}, "kind"),
    ],
)
def test_what_is_to_be_erased_is_said_in_one_way(api, body, field):
    errors = problem(api.post("/erasures", body), 422)["errors"]
    assert field in str(errors)
    assert problem(api.post("/erasures", {"kind": "contact", "target_id": NOBODYS_ID}), 404)


def test_an_agents_own_key_may_not(workspace):
    agent = caller(workspace, scopes=AGENT_SCOPES)
    answer = problem(agent.post("/erasures", {"kind": "term", "term": "zorblatt"}), 403)
    assert answer["code"] == "scope_missing"


def test_what_was_erased_is_refused_in_a_plain_sentence(api, workspace):
    with workspace_scope(workspace.id):
        row = erasures.propose_erasure(
            actor=ALICE, kind=erasures.ErasureKind.TERM, term="zorblatt", job=False
        )
        tombstones.bury(
            row,
            marks=[("named", "memory.memory", "notes", "7"),
                   ("content", "0" * 64)],
            terms=[("anna", "keller")],
        )  # fmt: skip
    for body in (
        {"text": "new", "source": "notes", "external_id": "7"},
        {"text": "Ask anna\nKELLER's sister."},
        {"text": "x", "data": {"who": ["Anna-Keller"]}},
    ):
        answer = problem(api.post("/memories", body), 409)
        assert answer["code"] == "erased"
        assert "may not come back" in answer["detail"]
    assert problem(api.post("/contacts", {"name": "Anna Keller"}), 409)["code"] == "erased"
    memory = made(api.post("/memories", {"text": "Annabel Keller is somebody else."}))
    change = {"text": "It was Anna Keller."}
    answer = api.call("PATCH", f"/memories/{memory['id']}", change, if_match="*")
    assert problem(answer, 409)["code"] == "erased"
    # People go on talking.
    made(api.post("/tasks", {"title": "Write to Anna Keller"}))
