"""The review queue by keyboard alone, and without scripts; a memory's page and its graph."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from contacts.services import funnel
from memory.models import Memory, MemoryDuplicate
from memory.services.memories import link_memories
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import url
from tests.browser.conftest import Visit, sign_in
from tests.factories import ALICE, make_memory

pytestmark = pytest.mark.slow

PASSWORD = "a long password"
QUEUE = "/admin/review/"


@pytest.fixture
def greenhouse(transactional_db: None) -> Workspace:
    """Four that wait, the last with a near duplicate in use, and alice, who owns the workspace."""
    workspace = factories.make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    with workspace_scope(workspace.id):
        for text in ("First things", "Second things", "Third things"):
            make_memory(text, state="quarantined", trust="agent")
        known = make_memory("Alice likes tabs.")
        new = make_memory("Alice likes tabs a lot.", state="quarantined", trust="agent")
        row = MemoryDuplicate(older=known, newer=new, similarity=0.97, overlap=0.8)
        funnel.create(row, actor=ALICE)
    return workspace


def states(workspace: Workspace) -> dict[str, str]:
    with workspace_scope(workspace.id):
        return dict(Memory.objects.values_list("text", "state"))


def at(page: Page, words: str) -> None:
    """Wait until the queue is at the memory that says so, with its scripts."""
    expect(page.locator(".rm-memory-text")).to_contain_text(words)
    page.wait_for_load_state()


def test_review_by_keyboard_alone(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(QUEUE)
    one, said = page.locator("[data-review]"), page.locator(".rm-last")
    text = page.locator(".rm-memory-text")
    at(page, "First things")
    expect(one).to_be_focused()

    page.keyboard.press("?")
    expect(page.locator("#rm-keys")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    expect(page.locator("#rm-keys")).to_be_hidden()

    page.keyboard.press("j")
    at(page, "Second things")
    page.keyboard.press("k")
    at(page, "First things")
    page.keyboard.press("a")
    at(page, "Second things")
    expect(said).to_contain_text("Approved")
    expect(one).to_be_focused()
    assert states(greenhouse)["First things"] == "active"

    page.keyboard.press("e")
    field = page.locator("#rm-edit-text")
    expect(field).to_be_focused()
    page.keyboard.type(", and a rake")
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    page.keyboard.press("e")
    expect(field).to_have_value("Second things, and a rake")
    page.keyboard.press("Control+Enter")
    at(page, "Third things")
    assert states(greenhouse)["Second things, and a rake"] == "active"

    page.keyboard.press("r")
    at(page, "Alice likes tabs a lot.")
    assert states(greenhouse)["Third things"] == "archived"
    page.keyboard.press("u")
    at(page, "Third things")
    assert states(greenhouse)["Third things"] == "quarantined"
    page.keyboard.press("n")
    at(page, "Alice likes tabs a lot.")

    page.keyboard.press("m")
    expect(page.get_by_role("button", name="Keep the other")).to_be_focused()
    page.keyboard.press("Enter")
    at(page, "Third things")
    assert states(greenhouse)["Alice likes tabs a lot."] == "superseded"
    page.keyboard.press("u")
    at(page, "Alice likes tabs a lot.")
    assert states(greenhouse)["Alice likes tabs a lot."] == "quarantined"
    # Twice more: the edit, and the first approval.
    page.keyboard.press("u")
    at(page, "Second things")
    expect(text).to_have_text("Second things")
    page.keyboard.press("u")
    at(page, "First things")
    assert set(states(greenhouse).values()) == {"quarantined", "active"}
    assert states(greenhouse)["First things"] == "quarantined"
    assert visit.complaints == []


def test_keys_can_be_switched_off(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(QUEUE)
    page.keyboard.press("?")
    page.locator("[data-keys-on]").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("?")
    expect(page.locator("#rm-keys")).to_be_visible()
    assert states(greenhouse)["First things"] == "quarantined"


def test_review_without_scripts(browser: Browser, live_server: Any, greenhouse: Workspace) -> None:
    context = browser.new_context(java_script_enabled=False)
    visit = Visit(context.new_page(), live_server.url)
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(QUEUE)
    page.get_by_role("button", name="Approve").first.click()
    expect(page.locator(".rm-memory-text")).to_contain_text("Second things")
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".rm-memory-text")).to_contain_text("First things")
    page.get_by_role("button", name="Filter").click()
    page.locator("#edit > summary").click()
    page.fill("#rm-edit-text", "First of all")
    page.get_by_role("button", name="Save only").click()
    expect(page.locator(".rm-memory-text")).to_contain_text("First of all")
    assert states(greenhouse)["First of all"] == "quarantined"
    context.close()


def test_a_memory_is_read_and_its_graph_walked_by_keys(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    with workspace_scope(greenhouse.id):
        me, why = (Memory.objects.get(text=t) for t in ("First things", "Second things"))
        link_memories(actor=ALICE, source_id=me.pk, target_id=why.pk, relation="cause")
    visit.open(url(Memory, "read", me.pk))
    node = page.locator(".rm-node", has_text="Second things")
    node.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{url(Memory, 'read', why.pk)}")
    expect(page.locator(".rm-node-self")).to_contain_text("Second things")
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_its_window(
    browser: Browser, live_server: Any, greenhouse: Workspace, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    visit = Visit(context.new_page(), live_server.url)
    sign_in(visit, "alice", PASSWORD)
    with workspace_scope(greenhouse.id):
        me, why = (Memory.objects.get(text=t) for t in ("First things", "Second things"))
        link_memories(actor=ALICE, source_id=me.pk, target_id=why.pk, relation="cause")
    for path in (QUEUE, url(Memory, "read", me.pk), url(Memory, "change", me.pk)):
        visit.open(path)
        for width in (1600, 1024, 390):
            visit.page.set_viewport_size({"width": width, "height": 900})
            assert visit.overflow() <= 0, (path, width)
    assert visit.complaints == []
    context.close()
