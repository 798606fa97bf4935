"""An operator signs in, finds a session and reads it, as in the quickstart."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import Memory
from memory.services.memories import update_memory
from sessions.models import Session
from sessions.services.events import NewEvent, append_events
from sessions.services.threads import NewMessage, append_messages
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import fill, url
from tests.browser.conftest import Visit, open_palette, sign_in
from tests.factories import ALICE, make_session, make_thread

pytestmark = pytest.mark.slow

PASSWORD = "a long password"
HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


@pytest.fixture
def greenhouse(transactional_db: None) -> Workspace:
    """A workspace with a session worth reading, and alice, who owns it."""
    workspace = factories.make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    fill(workspace)
    use = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "pytest -x"}}
    back = {"type": "tool_result", "tool_use_id": "c1", "content": "41 passed in 3.2s"}
    said = [
        NewMessage(role="user", content="Why does the watering test fail at night?"),
        NewMessage(role="assistant", blocks=[{"type": "thinking", "thinking": "Clocks, perhaps."}]),
        NewMessage(role="assistant", content="I will **run** it.\n\n```python\nx = 1\n```"),
        NewMessage(role="assistant", blocks=[use]),
        NewMessage(role="tool", blocks=[back]),
        NewMessage(role="assistant", content=f"It passes now. {HOSTILE}"),
    ]
    said += [NewMessage(role="user", content=f"And number {n}?") for n in range(250)]
    with workspace_scope(workspace.id):
        session = make_session(name="Fix the watering test", host="pi-greenhouse", branch="main")
        thread = make_thread(session, name="main")
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
    return workspace


def test_sign_in_find_a_session_and_read_it(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    expect(page.get_by_role("heading", name="At a glance")).to_be_visible()
    page.locator("#nav-sidebar").get_by_text("Sessions", exact=True).click()
    page.fill("#searchbar", "watering")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=watering**")
    page.get_by_role("link", name=re.compile("Fix the watering test")).first.click()
    expect(page.locator("#m-0", has_text="Why does the watering test fail")).to_be_visible()
    expect(page.locator(".rm-prose strong", has_text="run")).to_be_visible()

    output = page.get_by_text("41 passed in 3.2s")
    expect(output).to_be_hidden()
    page.locator("summary", has_text="Bash").click()
    expect(output).to_be_visible()
    thought = page.get_by_text("Clocks, perhaps.")
    expect(thought).to_be_hidden()
    page.locator("summary", has_text="Thinking").click()
    expect(thought).to_be_visible()

    assert page.evaluate("window.hit") is None
    assert visit.complaints == []


def test_a_long_conversation_loads_while_one_scrolls(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    with workspace_scope(greenhouse.id):
        session = Session.objects.get(name="Fix the watering test")
    visit.open(url(Session, "conversation", session.pk))
    assert page.locator("#m-100").count() == 0
    page.locator(".rm-later").scroll_into_view_if_needed()
    page.wait_for_selector("#m-100", state="attached")
    page.locator(".rm-later").scroll_into_view_if_needed()
    page.wait_for_selector("#m-255", state="attached")
    expect(page.get_by_text("End of the conversation")).to_be_attached()
    visit.open(url(Session, "conversation", session.pk) + "?at=200#m-200")
    expect(page.locator("#m-200")).to_be_in_viewport()
    assert visit.complaints == []


def open_conversation(visit: Visit, workspace: Workspace, query: str = "") -> Session:
    with workspace_scope(workspace.id):
        session = Session.objects.get(name="Fix the watering test")
    visit.open(url(Session, "conversation", session.pk) + query)
    return session


def test_one_finds_words_also_where_nothing_is_loaded_yet(
    visit: Visit, greenhouse: Workspace
) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    open_conversation(visit, greenhouse)
    page.keyboard.press("/")
    page.keyboard.type("41 passed")
    expect(page.get_by_role("status").filter(has_text="1")).to_be_visible()
    page.keyboard.press("Enter")
    # It is in a folded result, which opens.
    expect(page.locator("#m-4", has_text="41 passed in 3.2s")).to_be_in_viewport()
    expect(page.locator("[data-find-count]")).to_have_text("1 of 1")
    assert page.evaluate("CSS.highlights.get('rm-find').size") == 1
    box = page.get_by_role("searchbox", name="Find in this conversation")
    box.fill("number 24")
    box.press("Enter")
    expect(page.locator("[data-find-count]")).to_have_text("1 of 11")
    box.press("Enter")
    # The second match is far below: the page opens around it, with the same words.
    page.wait_for_url("**find=number%2024#m-246")
    expect(page.locator("#m-246")).to_be_in_viewport()
    expect(page.locator("[data-find-count]")).to_have_text("2 of 11")
    box.press("Shift+Enter")
    page.wait_for_url("**#m-30")
    box.fill("nowhere at all")
    expect(page.locator("[data-find-count]")).to_have_text("Nothing found")
    box.press("Escape")
    expect(page.locator("[data-find-count]")).to_have_text("")
    assert visit.complaints == []


def test_earlier_messages_come_in_place(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    open_conversation(visit, greenhouse, "?at=200")
    assert page.locator("#m-150").count() == 0
    page.get_by_role("link", name="Earlier messages").click()
    page.wait_for_selector("#m-150", state="attached")
    assert page.locator("#m-180").count() == 1
    assert page.locator(".rm-earlier").count() == 1
    assert visit.complaints == []


def test_a_subagent_is_read_in_place_and_one_reads_on_after_a_reset(
    visit: Visit, greenhouse: Workspace
) -> None:
    page = visit.page
    use = {"type": "tool_use", "id": "t1", "name": "Task", "input": {"prompt": "Look around."}}
    with workspace_scope(greenhouse.id):
        first = make_session(name="Night one", conversation_id="nights")
        main = make_thread(first, name="main")
        sub = make_thread(first, name="Scout", parent_id=main.id, metadata={"tool_use_id": "t1"})
        append_messages(actor=ALICE, thread_id=main.id, messages=[
            NewMessage(role="assistant", blocks=[use])])  # fmt: skip
        steps = [NewMessage(role="user", content=f"Step {n} of the scout.") for n in range(120)]
        append_messages(actor=ALICE, thread_id=sub.id, messages=steps)
        second = make_session(name="Night two", conversation_id="nights")
        append_messages(actor=ALICE, thread_id=make_thread(second).id, messages=[
            NewMessage(role="user", content="Go on with the second night.")])  # fmt: skip
    sign_in(visit, "alice", PASSWORD)
    visit.open(url(Session, "conversation", first.pk))
    fold = page.locator(".rm-nested > summary")
    fold.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 0 of the scout.")).to_be_visible()
    page.locator(".rm-nested .rm-later").scroll_into_view_if_needed()
    expect(page.get_by_text("Step 119 of the scout.")).to_be_attached()
    page.get_by_role("link", name="Read on: Night two").click()
    expect(page.get_by_text("Go on with the second night.")).to_be_visible()
    assert str(first.pk) in page.url
    visit.open(url(Session, "of_conversation", "nights"))
    page.get_by_role("link", name="Read it through").click()
    expect(page.get_by_text("Go on with the second night.")).to_be_attached()
    assert visit.complaints == []


def test_the_timeline_is_zoomed_by_keyboard_and_leads_to_events(
    visit: Visit, greenhouse: Workspace
) -> None:
    page = visit.page
    with workspace_scope(greenhouse.id):
        session = make_session(name="Long night")
        append_events(actor=ALICE, session_id=session.id, events=[
            NewEvent(event_type="tool_error" if n == 50 else "tool_use", text=f"step {n}",
                     occurred_at=clock.now() - timedelta(seconds=200 - n))
            for n in range(1, 101)])  # fmt: skip
    sign_in(visit, "alice", PASSWORD)
    visit.open(url(Session, "timeline", session.pk))
    page.keyboard.press("+")
    page.wait_for_url("**first=26&last=75**")
    expect(page.get_by_role("heading", name="Events 26 to 75 of 100")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**first=51&last=100**")
    page.keyboard.press("0")
    page.wait_for_url("**first=1&last=100**")
    page.locator(".rm-axis-mark.rm-axis-failed").click()
    page.wait_for_url("**/events/?at=50#e-50")
    expect(page.locator("#e-50")).to_be_in_viewport()
    assert visit.complaints == []


def test_the_palette_jumps_to_a_session(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    open_palette(page)
    page.keyboard.type("watering")
    result = page.locator("#command-results-list a[data-title='Fix the watering test']")
    expect(result).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/conversation/")
    assert visit.complaints == []


def test_a_conflict_is_shown_and_then_decided(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    with workspace_scope(greenhouse.id):
        memory = Memory.objects.get(text="The pump starts at noon.")
    visit.open(url(Memory, "change", memory.pk))
    with workspace_scope(greenhouse.id):
        update_memory(actor=ALICE, memory_id=memory.pk, changes={"text": "It starts at two."})
    page.fill("#id_text", "It starts at three.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody changed this while you were editing")).to_be_visible()
    expect(page.locator(".rm-conflict")).to_contain_text("It starts at two.")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/memory/memory/")
    with workspace_scope(greenhouse.id):
        assert Memory.objects.get(pk=memory.pk).text == "It starts at three."
    # A refused page is an answer of 409, which the console names; nothing else may be there.
    assert [c for c in visit.complaints if "409" not in c] == []


# The scheme changes colours, which have no width; one look at the dark one is for its own rules.
@pytest.mark.parametrize(("scheme", "widths"), [("light", (1600, 1024, 390)), ("dark", (390,))])
def test_no_page_is_wider_than_its_window(
    browser: Browser,
    live_server: Any,
    greenhouse: Workspace,
    tmp_path: Path,
    widths: tuple[int, ...],
    scheme: str,
) -> None:
    context = browser.new_context(
        viewport={"width": widths[0], "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    visit = Visit(context.new_page(), live_server.url)
    sign_in(visit, "alice", PASSWORD)
    with workspace_scope(greenhouse.id):
        session = Session.objects.get(name="Fix the watering test")
        memory = Memory.objects.get(text="The pump starts at noon.")
    pages = {
        "home": "/admin/",
        "sessions": url(Session, "changelist"),
        "conversation": url(Session, "conversation", session.pk),
        "events": url(Session, "events", session.pk),
        "timeline": url(Session, "timeline", session.pk),
        "workers": url(Session, "workers", session.pk),
        "searches": url(Session, "searches", session.pk),
        "found": url(Session, "conversation", session.pk) + "?at=5&find=number",
        "by project": url(Session, "changelist") + "?group=project",
        "over sessions": url(Session, "of_conversation", session.conversation_id),
        "raw": url(Session, "raw", session.pk),
        "details": url(Session, "change", session.pk),
        "memories": url(Memory, "changelist"),
        "memory": url(Memory, "change", memory.pk),
        "key": "/admin/contacts/apikey/add/",
        "history": "/admin/contacts/revision/",
    }
    for name, path in pages.items():
        visit.page.set_viewport_size({"width": widths[0], "height": 900})
        visit.open(path)
        for width in widths:
            visit.page.set_viewport_size({"width": width, "height": 900})
            visit.page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png")
            assert visit.overflow() <= 0, (name, width)
        assert ("dark" in (visit.page.get_attribute("html", "class") or "")) == (scheme == "dark")
    assert visit.complaints == []
    context.close()
