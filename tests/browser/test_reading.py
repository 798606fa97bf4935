"""An operator signs in, finds a session and reads it, as in the quickstart."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import Memory
from memory.services.memories import update_memory
from sessions.models import Session
from sessions.services.threads import NewMessage, append_messages
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import fill, url
from tests.browser.conftest import Visit, sign_in
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
    expect(page.get_by_text("Why does the watering test fail at night?").first).to_be_visible()
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


def test_the_palette_jumps_to_a_session(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    page.keyboard.press("Control+k")
    page.locator("#search-input-command").press_sequentially("watering")
    result = page.locator("#command-results-list a", has_text="Fix the watering test")
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
