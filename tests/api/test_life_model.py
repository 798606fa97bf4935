"""Sessions, threads and memories under any order of calls, beside a model that is a few dicts."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests import factories
from tests.api.caller import Caller, all_items, caller, made, problem

TEXTS = st.sampled_from(["The till rounds down", "Ada drinks tea", "Öl & Wasser 🛢", "x" * 3000])
KEYS = st.sampled_from(["one", "two", "three"])
STATES = st.sampled_from(["active", "archived", "quarantined"])


@dataclass(eq=False)
class Row:
    """What the model knows of a session, a thread or a memory."""

    id: str
    version: int
    values: dict[str, Any] = field(default_factory=dict)
    # Of a session its events, of a thread its messages: (key, text) in their order.
    items: list[tuple[str, str]] = field(default_factory=list)
    gone: bool = False


class Life(RuleBasedStateMachine):
    """Each run is a workspace of its own, in a transaction that is rolled back."""

    api: Caller
    stranger: Caller
    sessions = Bundle("sessions")
    threads = Bundle("threads")
    memories = Bundle("memories")
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        # As a test's: scopes open transactions of their own inside it.
        self.undone._from_testcase = True  # type: ignore[attr-defined]
        self.undone.__enter__()
        self.known: dict[str, list[Row]] = {"sessions": [], "threads": [], "memories": []}
        self.external: dict[str, Row] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @initialize()
    def a_workspace(self) -> None:
        self.api = caller(factories.make_workspace("lab"))
        self.stranger = caller(factories.make_workspace("street"))

    def keep(self, kind: str, told: dict[str, Any], **values: Any) -> Row:
        row = Row(told["id"], told["version"], values)
        self.known[kind].append(row)
        return row

    # --- Sessions ---------------------------------------------------------------------------

    @rule(target=sessions, name=TEXTS, external=st.none() | KEYS)
    def start(self, name: str, external: str | None) -> Row:
        body = {"name": name[:200], **({"external_id": external} if external else {})}
        before = self.external.get(external or "")
        answer = self.api.post("/sessions", body)
        told = made(answer)
        if before is not None and not before.gone:
            assert answer.status_code == 200
            assert told["id"] == before.id, "sent again, the row comes back"
            return before
        assert answer.status_code == 201
        row = self.keep("sessions", told, name=body["name"], ended=False)
        if external:
            self.external[external] = row
        return row

    @rule(session=sessions, name=TEXTS, stale=st.booleans())
    def rename(self, session: Row, name: str, stale: bool) -> None:
        path, body = f"/sessions/{session.id}", {"name": name[:200]}
        if session.gone:
            problem(self.api.patch(path, body, if_match="*"), 404)
        elif stale:
            problem(self.api.patch(path, body, if_match=f'"{session.version + 7}"'), 412)
        else:
            told = made(self.api.patch(path, body, if_match=f'"{session.version}"'))
            grown = body["name"] != session.values["name"]
            assert told["version"] == session.version + grown, "nothing differs, nothing is written"
            session.version, session.values["name"] = told["version"], told["name"]

    @rule(session=sessions)
    def end(self, session: Row) -> None:
        answer = self.api.post(f"/sessions/{session.id}/end", {})
        if session.gone:
            problem(answer, 404)
            return
        told = made(answer)
        assert told["current_state"] == "ended"
        session.values["ended"], session.version = True, told["version"]

    @rule(session=sessions)
    def resume(self, session: Row) -> None:
        answer = self.api.post(f"/sessions/{session.id}/resume", {})
        if session.gone:
            problem(answer, 404)
        elif session.values["ended"]:
            session.values["ended"], session.version = False, made(answer)["version"]
        elif answer.status_code == 200:
            session.version = answer.json()["version"]
        else:
            problem(answer, 409)

    @rule(session=sessions, key=KEYS, text=TEXTS)
    def event(self, session: Row, key: str, text: str) -> None:
        body = {"event_type": "note", "text": text, "dedupe_key": key}
        answer = self.api.post(f"/sessions/{session.id}/events", body)
        if session.gone:
            problem(answer, 404)
            return
        place = made(answer)
        keys = [known for known, _ in session.items]
        if key in keys:
            assert place["seq"] == 1 + keys.index(key), "the first one stands"
        else:
            assert place["seq"] == 1 + len(keys)
            session.items.append((key, text))

    @rule(session=consumes(sessions))
    def delete_session(self, session: Row) -> None:
        if session.gone:
            return
        assert self.api.delete(f"/sessions/{session.id}", if_match="*").status_code == 204
        session.gone = True
        for thread in self.known["threads"]:
            if thread.values["session"] is session:
                thread.gone = True

    # --- Threads ----------------------------------------------------------------------------

    @rule(target=threads, session=sessions)
    def thread(self, session: Row) -> Row:
        answer = self.api.post(f"/sessions/{session.id}/threads", {})
        if session.gone:
            problem(answer, 404)
            return Row("0" * 32, 1, {"session": session}, gone=True)
        return self.keep("threads", made(answer), session=session)

    @rule(target=requests, thread=threads, text=TEXTS, key=KEYS)
    def say(self, thread: Row, text: str, key: str) -> tuple[Row, dict[str, Any], str, str]:
        """With an Idempotency-Key that is new each time."""
        body = {"role": "user", "content": text}
        path = f"/threads/{thread.id}/messages"
        sent = f"{key}-{thread.id}-{len(thread.items)}-{len(self.known['threads'])}"
        answer = self.api.post(path, body, idempotency_key=sent)
        if thread.gone:
            problem(answer, 404)
            return thread, body, sent, ""
        told = made(answer)
        (place,) = told["items"]
        thread.items.append(("", text))
        assert place["idx"] + 1 == told["message_count"] == len(thread.items)
        return thread, body, sent, place["id"]

    @rule(request=requests)
    def say_again(self, request: tuple[Row, dict[str, Any], str, str]) -> None:
        thread, body, key, given = request
        if not given:
            return
        path = f"/threads/{thread.id}/messages"
        again = self.api.post(path, body, idempotency_key=key)
        assert made(again)["items"][0]["id"] == given, "the first answer is given again"
        assert again["Idempotent-Replayed"] == "true"
        problem(self.api.post(path, {**body, "content": "else"}, idempotency_key=key), 422)

    # --- Memories ---------------------------------------------------------------------------

    @rule(target=memories, text=TEXTS, session=sessions)
    def remember(self, text: str, session: Row) -> Row:
        body = {"text": text} if session.gone else {"text": text, "session_id": session.id}
        told = made(self.api.post("/memories", body))
        for known in self.known["memories"]:
            if known.id == told["id"]:
                return known
        return self.keep("memories", told, text=text, state="active")

    @rule(memory=memories, text=TEXTS, state=STATES)
    def correct(self, memory: Row, text: str, state: str) -> None:
        path, body = f"/memories/{memory.id}", {"text": text, "state": state}
        if memory.gone:
            problem(self.api.patch(path, body, if_match="*"), 404)
            return
        # A session that went was taken from it, and it has another version since.
        memory.version = made(self.api.get(path))["version"]
        answer = self.api.patch(path, body, if_match=f'"{memory.version}"')
        if answer.status_code == 200:
            told = answer.json()
            assert (told["text"], told["state"]) == (text, state)
            memory.version, memory.values = told["version"], {"text": text, "state": state}
            problem(self.api.patch(path, body, if_match=f'"{memory.version + 1}"'), 412)
        else:
            # What an agent may not do alone, or what another row has already.
            assert answer.status_code in (403, 409), answer.content

    @rule(memory=consumes(memories))
    def forget(self, memory: Row) -> None:
        if memory.gone:
            return
        assert self.api.delete(f"/memories/{memory.id}", if_match="*").status_code == 204
        memory.gone = True

    # --- What must hold ---------------------------------------------------------------------

    def living(self, kind: str) -> list[Row]:
        return [row for row in self.known[kind] if not row.gone]

    @rule(thread=threads)
    def read_a_thread(self, thread: Row) -> None:
        if thread.gone:
            problem(self.api.get(f"/threads/{thread.id}/messages"), 404)
            return
        found = all_items(self.api, f"/threads/{thread.id}/messages", limit=2, order="asc")
        assert [one["content"] for one in found] == [text for _, text in thread.items]
        assert [one["idx"] for one in found] == list(range(len(found)))
        assert made(self.api.get(f"/threads/{thread.id}"))["message_count"] == len(found)

    @rule(session=sessions)
    def read_a_session(self, session: Row) -> None:
        path = f"/sessions/{session.id}"
        if session.gone:
            problem(self.api.get(path), 404)
            return
        told = made(self.api.get(path))
        mine = [one for one in self.living("threads") if one.values["session"] is session]
        assert told["name"] == session.values["name"]
        assert (told["current_state"] == "ended") == session.values["ended"]
        assert told["event_count"] == len(session.items)
        assert told["message_count"] == sum(len(thread.items) for thread in mine)
        events = all_items(self.api, f"{path}/events", limit=2, order="asc")
        assert [(one["dedupe_key"], one["text"]) for one in events] == session.items

    @rule(row=st.one_of(sessions, threads, memories))
    def nothing_is_seen_from_elsewhere(self, row: Row) -> None:
        for kind, rows in self.known.items():
            if row in rows:
                problem(self.stranger.get(f"/{kind}/{row.id}"), 404)

    @invariant()
    def the_lists_are_the_living(self) -> None:
        if not hasattr(self, "api"):
            return
        sessions = {one["id"] for one in all_items(self.api, "/sessions", limit=200)}
        assert sessions == {row.id for row in self.living("sessions")}
        memories = all_items(self.api, "/memories", state="all", limit=200)
        assert {(one["id"], one["text"], one["state"]) for one in memories} == {
            (row.id, row.values["text"], row.values["state"]) for row in self.living("memories")
        }


@pytest.mark.django_db
def test_any_order_of_calls_does_what_a_few_dicts_do() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
