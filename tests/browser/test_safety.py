"""What is stored is hostile, in every text of every row: no page obeys it, in a real browser.

Every page of every model is opened. No script of it runs, no request leaves for another server, and
the browser finds nothing against the content security policy.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import DatabaseError, models, transaction
from django.urls import reverse
from playwright.sync_api import Browser, Request, expect

from config.lib.scope import workspace_scope
from contacts.models import Invitation, Workspace
from memory.models import ImportRun
from sessions.models import Session, Thread
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import WORKSPACE_MODELS, Rows, fill, url
from tests.browser.conftest import Visit, sign_in
from tests.factories import NOBODYS_ID

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EVIL = "https://evil.example"
HOSTILE = (
    f'"><img src=x onerror=window.hit=1><script>window.hit=1</script><img src={EVIL}/a.png>'
    f"![p]({EVIL}/b.png)[c](javascript:window.hit=1)<div x-data x-init=window.hit=1></div>"
    f"<link rel=stylesheet href={EVIL}/c.css><form action={EVIL}></form>"
    f"<meta http-equiv=refresh content='0;url={EVIL}'><base href={EVIL}/>"
    "{{constructor.constructor('window.hit=1')()}}' onfocus=window.hit=1 autofocus='"
)
SHORT = "<img src=x onerror=window.hit=1>"
# What is compared, parsed or joined on, and refused by its service if it is none of its kind.
FORMAL = {
    "schedule", "schedule_kind", "timezone", "slug", "entity_id", "object_id", "model", "prefix",
    "day", "dedupe_key", "line_key", "actor_id", "subject_id", "digest", "lexical",
    "last_status", "hits", "kind", "gaps",
}  # fmt: skip


COUNTS = ("total", "read", "created", "updated", "unchanged", "skipped", "older")
_PROBLEM = {"table": HOSTILE, "id": HOSTILE, "code": HOSTILE, "reason": HOSTILE, "done": HOSTILE}
_REPORT = {
    "counts": {HOSTILE: dict.fromkeys(COUNTS, 1)},
    "problem_counts": {HOSTILE: 1},
    "problems": [_PROBLEM],
    "checked": {"ok": False, "compared": 1, "differences": [HOSTILE]},
}
_KEPT = {"model": HOSTILE, "id": HOSTILE, "name": HOSTILE, "why": HOSTILE}
_UNDONE = {"removed": {HOSTILE: 1}, "staying": {HOSTILE: 1}, "kept": [_KEPT]}
IMPORTED = {
    **_REPORT,
    "tried": _REPORT,
    "undone": _UNDONE,
    "preview": _UNDONE,
    "files": [{"name": HOSTILE, "size": 1}],
    "found": [{"path": HOSTILE, "what": HOSTILE, "source": HOSTILE}],
}


def hostile_value(field: Any) -> Any:
    """A value of the field's kind that is an attack; None where it has no room for one."""
    if field.primary_key or field.choices or field.is_relation or field.name in FORMAL:
        return None
    # What an import came to: figures by table and by problem, and problems with a reason.
    if field.model is ImportRun and isinstance(field, models.JSONField):
        return IMPORTED.get(field.name, {HOSTILE: HOSTILE})
    # What a bulk run came to: figures, and rows with a reason.
    refused = [{"id": NOBODYS_ID, "kind": "failed", "why": HOSTILE}]
    if field.name == "problems":
        return refused
    if field.name in ("tried", "ran"):
        return {"done": 1, "skipped": 0, "failed": 1, "problems": refused}
    if isinstance(field, models.JSONField):
        return {HOSTILE: [HOSTILE, {"text": HOSTILE}], "title": HOSTILE, "error": HOSTILE}
    if isinstance(field, ArrayField):
        longest = getattr(field.base_field, "max_length", None)
        is_text = isinstance(field.base_field, models.CharField | models.TextField)
        return [HOSTILE[:longest]] if is_text else None
    if isinstance(field, models.CharField | models.TextField):
        return HOSTILE if (field.max_length or 9999) >= len(HOSTILE) else SHORT[: field.max_length]
    return None


def poison(workspace: Workspace) -> set[str]:
    """Put the attack into every text there is; the names of the fields that took it."""
    taken = set()
    with workspace_scope(workspace.id):
        for model in WORKSPACE_MODELS:
            rows = model._default_manager.all()
            for field in model._meta.concrete_fields:
                value = hostile_value(field)
                if value is None:
                    continue
                try:
                    with transaction.atomic():
                        if rows.update(**{field.name: value}):
                            taken.add(f"{model.__name__}.{field.name}")
                except DatabaseError:
                    # Rows that nobody changes, and columns with a form of their own.
                    continue
    return taken


def pages_of(rows: Rows) -> Iterator[str]:
    yield from ("/admin/", "/admin/login/", "/admin/password_change/")
    for model in WORKSPACE_MODELS:
        yield url(model, "changelist")
        yield url(model, "changelist") + "?q=img"
        for page in ("change", "history"):
            yield url(model, page, rows[model].pk)
    for page in ("conversation", "events", "memories", "raw"):
        yield url(Session, page, rows[Session].pk)
    yield url(Thread, "conversation", rows[Thread].pk)
    yield reverse("admin:contacts_contact_duplicates")
    yield reverse("admin:contacts_contact_import")
    yield url(Invitation, "add")
    yield reverse("admin:search") + "?s=img"


def test_no_page_obeys_what_is_stored(
    browser: Browser, live_server: Any, transactional_db: None
) -> None:
    workspace = factories.make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    rows = fill(workspace)
    taken = poison(workspace)
    assert len(taken) > 60, sorted(taken)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " e => console.error('POLICY ' + e.violatedDirective + ' ' + e.blockedURI))"
    )
    visit = Visit(context.new_page(), live_server.url)
    left: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((live_server.url, "data:", "blob:")):
            left.append(request.url)

    context.on("request", note)
    sign_in(visit, "alice", "a long password")
    trouble = []
    for path in pages_of(rows):
        visit.complaints.clear()
        answer = visit.page.goto(live_server.url + path)
        hit = visit.page.evaluate("window.hit")
        status = answer.status if answer else 0
        if status != 200 or hit is not None or visit.complaints or left:
            trouble.append((path, status, hit, list(visit.complaints), list(left)))
            left.clear()
        assert visit.page.url == live_server.url + path or path == "/admin/login/"
    context.close()
    assert trouble == []


@pytest.mark.parametrize("count", [1, 50])
def test_the_workspace_is_chosen_by_keyboard(
    visit: Visit, transactional_db: None, count: int
) -> None:
    """Also the last of fifty, which the list must scroll to show; one's only one is no choice."""
    workspaces = [factories.make_workspace(f"garden-{n:02}") for n in range(count)]
    person("alice", *((one, "viewer") for one in workspaces))
    sign_in(visit, "alice", "a long password")
    page = visit.page
    switch = page.get_by_role("button", name="Switch workspace")
    assert switch.count() == (count > 1)
    if count == 1:
        return
    switch.focus()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-expanded", "true")
    last = page.locator(".rm-choice", has_text="garden-49")
    # The list may open after it says so: the first press may still be the switch's.
    for _ in range(count + 1):
        if not last.evaluate("one => one === document.activeElement"):
            page.keyboard.press("Tab")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    expect(page.locator("#nav-sidebar").get_by_text("garden-49 · Viewer")).to_be_visible()
    switch.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(switch).to_have_attribute("aria-expanded", "false")
    assert visit.complaints == []
