"""Every page and every action of the admin, new ones too, by every role, as docs/admin.md says.

Each cell of its table is tried over HTTP. A page that is in none of the tables fails here.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.urls import get_resolver, reverse

from config.lib.db.models import WorkspaceRow
from config.lib.scope import workspace_scope
from contacts.models import ApiKey, BulkRun, Contact, Erasure, Membership, Revision, Workspace
from contacts.models.workspace import Role
from memory.models import ImportRun, Memory, Receipt, Unlearning
from sessions.models import Priority, ScheduledMission, Session, Thread, Worker
from tests.admin.conftest import person, signed_in
from tests.admin.pages import Rows, form_of, registered, sent_by, url
from tests.conftest import Making
from tests.factories import NOBODYS_ID, ROOT

TABLE = (ROOT / "docs/admin.md").read_text()
PARTS = ("add", "change", "delete")
# Pages that Django makes for each model, and ours for its actions.
OF_A_MODEL = ("changelist", "add", "history", "delete", "change", "do", "download")
LIMITED = [Role.VIEWER, Role.REVIEWER, Role.OPERATOR, Role.OWNER]


def least(cell: str) -> Role | None:
    return None if cell == "nobody" else Role(cell)


def read_table() -> dict[str, dict[str, Any]]:
    """{model's name: {add, change, delete: least role, actions: {name: least role}}}."""
    found = {}
    for line in TABLE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5 or cells[0] in ("Rows", "---"):
            continue
        actions = {}
        for group in filter(None, cells[4].split("; ")):
            names, role = group.split(": ")
            actions |= {name: least(role) for name in names.split(", ")}
        found[cells[0]] = {
            **dict(zip(PARTS, map(least, cells[1:4]), strict=True)),
            "actions": actions,
        }
    return found


SAID = read_table()
MODELS = sorted(registered(), key=lambda model: str(model._meta.verbose_name_plural))


def said_of(model: type[Model]) -> dict[str, Any]:
    return SAID[str(model._meta.verbose_name_plural).capitalize()]


# By the name of its address: how it is asked for, and the least role. None: each answers by itself.
PAGES: dict[str, tuple[str, Role | None]] = {
    "index": ("GET", Role.VIEWER),
    "search": ("GET", Role.VIEWER),
    "switch_workspace": ("POST", Role.VIEWER),
    "new_pings": ("GET", Role.VIEWER),
    "password_change": ("GET", Role.VIEWER),
    "password_change_done": ("GET", Role.VIEWER),
    "second_factor": ("GET", Role.VIEWER),
    "sign_ins": ("GET", Role.VIEWER),
    "autocomplete": ("GET", Role.VIEWER),
    "app_list": ("GET", Role.VIEWER),
    "contacts_contact_duplicates": ("GET", Role.VIEWER),
    "contacts_contact_import": ("POST", Role.OPERATOR),
    "contacts_contact_export": ("GET", Role.VIEWER),
    "contacts_contact_merge": ("POST", Role.OPERATOR),
    "contacts_contact_card": ("GET", Role.VIEWER),
    "contacts_revision_as_of": ("GET", Role.VIEWER),
    "contacts_revision_undo": ("POST", None),
    "agent_sessions_session_conversation": ("GET", Role.VIEWER),
    "agent_sessions_session_events": ("GET", Role.VIEWER),
    "agent_sessions_session_memories": ("GET", Role.VIEWER),
    "agent_sessions_session_raw": ("GET", Role.VIEWER),
    "agent_sessions_thread_conversation": ("GET", Role.VIEWER),
    "agent_sessions_worker_live": ("GET", Role.VIEWER),
    "agent_sessions_session_of_conversation": ("GET", Role.VIEWER),
    "agent_sessions_session_searches": ("GET", Role.VIEWER),
    "agent_sessions_session_timeline": ("GET", Role.VIEWER),
    "agent_sessions_session_workers": ("GET", Role.VIEWER),
    "agent_sessions_thread_find": ("GET", Role.VIEWER),
    "agent_sessions_stagedcontent_board": ("GET", Role.VIEWER),
    "agent_sessions_scheduledmission_timeline": ("GET", Role.VIEWER),
    "agent_sessions_scheduledmission_backfill": ("POST", Role.OPERATOR),
    "agent_sessions_priority_days": ("GET", Role.VIEWER),
    "agent_sessions_priority_days_do": ("POST", Role.OPERATOR),
    "agent_sessions_task_board": ("GET", Role.VIEWER),
    "agent_sessions_task_board_move": ("POST", Role.OPERATOR),
    "contacts_apikey_rotate": ("POST", Role.OWNER),
    "contacts_bulkrun_progress": ("GET", Role.VIEWER),
    "contacts_erasure_progress": ("GET", Role.VIEWER),
    "contacts_erasure_new": ("GET", Role.OWNER),
    "contacts_erasure_run": ("POST", Role.OWNER),
    "memory_memory_read": ("GET", Role.VIEWER),
    "memory_receipt_again": ("GET", Role.VIEWER),
    "memory_unlearning_new": ("GET", Role.OPERATOR),
    "memory_unlearning_progress": ("GET", Role.VIEWER),
    "memory_importrun_progress": ("GET", Role.VIEWER),
    "memory_importrun_ask": ("POST", Role.OPERATOR),
    "memory_importrun_begin": ("POST", Role.OPERATOR),
    "memory_importrun_piece": ("POST", Role.OPERATOR),
    "palette": ("GET", Role.VIEWER),
    "search_feedback": ("POST", Role.VIEWER),
    "review": ("GET", Role.VIEWER),
    "review_many": ("GET", Role.REVIEWER),
    "review_decide": ("POST", Role.REVIEWER),
    "review_back": ("POST", Role.REVIEWER),
}
# Before anybody is known, texts of the interface, and what leads nowhere: no row has a page of its
# own outside the admin.
OPEN = {"login", "second_factor_code", "logout", "jsi18n", "view_on_site", None}
ROWS_OF: dict[str, type[Model]] = {
    "contacts_contact": Contact,
    "contacts_revision": Revision,
    "agent_sessions_session": Session,
    "agent_sessions_thread": Thread,
    "agent_sessions_worker": Worker,
    "agent_sessions_scheduledmission": ScheduledMission,
    "agent_sessions_priority": Priority,
    "contacts_apikey": ApiKey,
    "contacts_bulkrun": BulkRun,
    "contacts_erasure": Erasure,
    "memory_memory": Memory,
    "memory_importrun": ImportRun,
    "memory_receipt": Receipt,
    "memory_unlearning": Unlearning,
    "review": Memory,
}


def addresses(patterns: Any = None, before: str = "") -> Iterator[tuple[str, str | None]]:
    """(address with its parameters, name) of all below /admin/."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        address = before + str(one.pattern)
        if hasattr(one, "url_patterns"):
            yield from addresses(one.url_patterns, address)
        elif address.startswith("admin/"):
            yield address, one.name


ADDRESSES = list(addresses())


def of_models() -> set[str]:
    labels = [(m._meta.app_label, m._meta.model_name) for m in admin.site._registry]
    return {f"{app}_{name}_{page}" for app, name in labels for page in OF_A_MODEL} | {
        "auth_user_password_change",
        "auth_user_second_factor",
    }


def test_every_address_is_in_a_table():
    assert len(ADDRESSES) > 250
    names = {name for _, name in ADDRESSES}
    assert names - of_models() - OPEN == set(PAGES)


def test_the_documented_table_is_the_admins():
    assert len(SAID) == len(MODELS)
    for model in MODELS:
        of = admin.site._registry[model]
        assert said_of(model) == {
            "add": of.add_role,
            "change": of.change_role,
            "delete": of.delete_role,
            "actions": {one.name: one.role for one in of.row_actions},
        }, model


def test_nobody_gets_anywhere_without_signing_in(client, db):
    asked = 0
    for address, name in ADDRESSES:
        if name in OPEN - {"view_on_site"}:
            continue
        path = "/" + re.sub(r"<(\w+:)?(object_)?id>", NOBODYS_ID, address)
        path = re.sub(r"<path:content_type_id>", "1", path)
        path = re.sub(r"<slug:\w+>", "end", path)
        path = re.sub(r"^/admin/\^\(\?P<app_label>(\w+).*", r"/admin/\1/", path)
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            assert answer.status_code == 302, (method, path)
            assert answer["Location"].startswith("/admin/login/"), (method, path)
        asked += 1
    assert asked > 200


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside has not happened. A request's scope takes it for its test's own."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def people(module_rows: Making, filled: tuple[Workspace, Rows]) -> dict[str, Client]:
    """A browser of each role, and one of a superuser who is a viewer."""
    workspace, _ = filled
    with module_rows():
        clients = {role: signed_in(person(f"a-{role}", (workspace, role))) for role in LIMITED}
        root = person("a-superuser", (workspace, "viewer"), superuser=True)
        return {**clients, "superuser": signed_in(root)}


def role_of(who: str) -> Role:
    return Role.VIEWER if who == "superuser" else Role(who)


def unrendered() -> AbstractContextManager[Any]:
    """Answers are decided and not drawn: what is asked of them is their status alone."""
    return patch.object(SimpleTemplateResponse, "rendered_content", "")


def attempts(client: Client, model: type[Model], row: Any) -> Iterator[tuple[str, Any]]:
    """Everything that can be done to rows of a model, as (cell of the table, answer)."""
    add, change, delete = (
        url(model, "add"), url(model, "change", row.pk), url(model, "delete", row.pk),
    )  # fmt: skip
    with unrendered():
        answers = [("add", client.get(add)), ("delete", client.get(delete))]
    yield from answers
    yield "add", client.post(add, {})
    seen = client.get(change)
    assert seen.status_code == 200
    sent = sent_by(seen.content.decode())
    yield "change", client.post(change, {"_version": "1", **sent})
    yield "delete", client.post(delete, {"post": "yes"})
    for one in admin.site._registry[model].row_actions:  # type: ignore[attr-defined]
        yield one.name, client.post(url(model, "do", row.pk, one.name))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m._meta.model_name)
def test_each_role_may_what_the_table_says(people, filled, workspace, rows, model):
    said, row = said_of(model), rows[model]
    for who, client in people.items():
        role = role_of(who)
        assert client.get(url(model, "changelist")).status_code == 200, who
        with unrendered():
            assert client.get(url(model, "history", row.pk)).status_code == 200, who
        if issubclass(model, WorkspaceRow):
            assert client.get(url(model, "download", "csv")).status_code == 200, who
        with undone():
            done = attempts(client, model, row)
            while True:
                with undone():
                    cell, answer = next(done, (None, None))
                if cell is None:
                    break
                wanted = said[cell] if cell in PARTS else said["actions"][cell]
                allowed = wanted is not None and role.includes(wanted)
                assert (answer.status_code != 403) is allowed, (who, cell, answer.status_code)
                assert answer.status_code < 500, (who, cell)


@pytest.mark.parametrize(
    "model", [m for m in MODELS if said_of(m)["actions"] or said_of(m)["delete"]],
    ids=lambda m: m._meta.model_name,
)  # fmt: skip
def test_no_list_runs_an_action_for_a_lower_role(people, workspace, rows, model):
    said, row = said_of(model), rows[model]
    asked = {**said["actions"], "delete_selected": said["delete"]}
    for who, client in people.items():
        for name, wanted in asked.items():
            if wanted is not None and role_of(who).includes(wanted):
                continue
            sent = {"action": name, "_selected_action": [str(row.pk)], "post": "yes"}
            with workspace_scope(workspace.id):
                before = Revision.objects.count()
                there = model._default_manager.filter(pk=row.pk).values().get()
            client.post(url(model, "changelist"), sent)
            with workspace_scope(workspace.id):
                assert Revision.objects.count() == before, (who, name)
                assert model._default_manager.filter(pk=row.pk).values().get() == there


@pytest.mark.parametrize("name", PAGES)
def test_each_role_opens_the_pages_that_are_its_own(people, workspace, rows, name):
    method, wanted = PAGES[name]
    model = next((m for start, m in ROWS_OF.items() if name.startswith(start)), None)
    address = next(address for address, other in ADDRESSES if other == name)
    args: list[Any] = []
    if "<uuid:" in address:
        args = [rows[model].pk]  # type: ignore[index]
    elif "conversation_id" in address:
        args = [rows[Session].conversation_id]  # type: ignore[attr-defined]
    elif name == "app_list":
        args = ["contacts"]
    elif "export" in name:
        args = ["csv"]
    sent = {"workspace": str(workspace.id), "source": NOBODYS_ID, "app_label": "agent_sessions",
            "model_name": "thread", "field_name": "session", "term": "x"}  # fmt: skip
    for who, client in people.items():
        with undone():
            path = reverse(f"admin:{name}", args=args)
            answer = getattr(client, method.lower())(path, sent)
        if wanted is None:
            continue
        allowed = role_of(who).includes(wanted)
        assert (answer.status_code != 403) is allowed, (who, answer.status_code)
        assert answer.status_code < 500
        if method == "POST" and name != "switch_workspace":
            got = client.get(path, {"source": NOBODYS_ID}).status_code
            assert got == 405 or (got != 403) is allowed


def revision_of(workspace: Workspace, row: Any, **wanted: Any) -> Revision:
    with workspace_scope(workspace.id):
        return Revision.objects.filter(object_id=str(row.pk), **wanted).latest("id")


@pytest.mark.parametrize("field", ["text", "trust"])
def test_a_reviewer_takes_back_decisions_and_no_edits(people, workspace, rows, field):
    row = rows[Memory]
    address = url(Memory, "change", row.pk)
    sent = form_of(people["operator"], address)
    posted = sent | {field: "external" if field == "trust" else "The pump starts at two."}
    assert people["operator"].post(address, posted).status_code == 302
    change = reverse("admin:contacts_revision_undo", args=[revision_of(workspace, row).pk])
    for who, allowed in (("viewer", False), ("reviewer", field == "trust"), ("operator", True)):
        with undone():
            answer = people[who].post(change)
        assert (answer.status_code == 302) is allowed, who
        assert answer.status_code in (302, 403)


def test_an_owners_change_is_taken_back_by_owners_alone(people, workspace, rows):
    member = rows[Membership]
    address = url(Membership, "change", member.pk)
    sent = form_of(people["owner"], address) | {"role": "reviewer"}
    assert people["owner"].post(address, sent).status_code == 302
    change = reverse("admin:contacts_revision_undo", args=[revision_of(workspace, member).pk])
    for who in people:
        with undone():
            answer = people[who].post(change)
        assert (answer.status_code == 302) is (who == "owner"), who
