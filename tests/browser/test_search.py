"""A person searches, narrows, judges and comes back; and jumps by the palette, keys alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.models import Receipt, SearchFeedback
from memory.search import corpus, speakers, vectors
from sessions.services.threads import NewMessage, append_messages
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import url
from tests.browser.conftest import Visit, open_palette, sign_in
from tests.factories import ALICE, make_memory, make_session, make_thread
from tests.search.asking import embed_all
from tests.search.conftest import put_in_place

pytestmark = pytest.mark.slow

PASSWORD = "a long password"
HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


@pytest.fixture
def greenhouse(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace with something to find, embedded, and alice, who owns it."""
    put_in_place(monkeypatch)
    workspace = factories.make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    said = [
        "Why does the boiler stop at night?",
        f"The **boiler** loses pressure. {HOSTILE}",
        "Then refill the boiler in the morning, please.",
    ]
    with workspace_scope(workspace.id):
        session = make_session(name="Mend the boiler")
        thread = make_thread(session, name="main")
        append_messages(
            actor=ALICE,
            thread_id=thread.id,
            messages=[NewMessage(role="user", content=text) for text in said],
        )
        make_memory("The boiler is refilled each morning at six.", kind="decision", tags=["heat"])
        for n in range(12):
            make_memory(f"Bed {n} has seedlings that the boiler keeps warm: {'x' * n}.")
    embed_all(workspace)
    yield workspace
    for kept in (vectors, corpus, speakers):
        kept.forget()


def test_ask_narrow_judge_and_come_back(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    page.get_by_label("Search everything", exact=True).fill("boiler pressure")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/search/?q=boiler+pressure**")
    # Its neighbours have its words too, folded.
    hit = page.locator(".rm-hit", has=page.locator(".rm-hit-text", has_text="loses pressure"))
    expect(hit.locator("mark").first).to_be_visible()
    assert page.evaluate("window.hit") is None

    page.locator(".rm-picks label", has_text="Messages").click()
    page.wait_for_url("**kinds=message**")
    assert page.locator(".rm-hit").count() == 3
    why = hit.locator("summary", has_text="Why")
    expect(hit.get_by_text("What the ranking added")).to_be_hidden()
    why.click()
    expect(hit.get_by_text("What the ranking added")).to_be_visible()
    hit.locator("summary", has_text="Before and after").click()
    expect(hit.get_by_text("Then refill the boiler")).to_be_visible()

    hit.get_by_role("button", name="Useful").click()
    expect(hit.get_by_role("button", name="Useful")).to_have_attribute("aria-pressed", "true")
    with workspace_scope(greenhouse.id):
        assert SearchFeedback.objects.get().verdict == "useful"
        searches = Receipt.objects.count()

    hit.locator("h2 a").click()
    page.wait_for_url("**/conversation/**")
    expect(page.locator("#m-1")).to_be_in_viewport()
    page.go_back()
    expect(hit.get_by_role("button", name="Useful")).to_have_attribute("aria-pressed", "true")
    with workspace_scope(greenhouse.id):
        assert Receipt.objects.count() == searches
    page.go_back()
    expect(page.locator(".rm-hit")).not_to_have_count(3)
    assert visit.complaints == []


def test_filters_stand_in_the_address_and_go_one_by_one(
    visit: Visit, greenhouse: Workspace
) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open("/admin/search/?q=boiler")
    page.locator("summary", has_text="Filters").click()
    page.get_by_label("Tags").fill("heat")
    page.get_by_label("Agent").fill("nobody")
    page.get_by_role("button", name="Search with these").click()
    expect(page.get_by_text("No agent nobody in this workspace").first).to_be_visible()
    assert "session=" not in page.url
    page.get_by_role("link", name="Without agent nobody").click()
    expect(page.locator(".rm-hit")).to_have_count(1)
    page.get_by_role("link", name="Without tags heat").click()
    expect(page.locator(".rm-hit")).to_have_count(10)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".rm-hit")).not_to_have_count(10)
    assert visit.complaints == []


def test_the_palette_by_keys_alone(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    open_palette(page)
    palette = page.locator("#command-results-list")
    expect(palette.get_by_text("At a glance")).to_be_visible()
    page.keyboard.type("refilled each morning")
    expect(palette.locator("a", has_text="The boiler is refilled")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(palette.locator("li.active")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/read/")

    # Enter without a choice asks for everything.
    page.locator("body").click(position={"x": 700, "y": 5})
    open_palette(page)
    page.locator("#search-input-command").fill("")
    page.keyboard.type("boiler at night")
    expect(palette.get_by_text("Search everything for “boiler at night”")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/search/?q=boiler%20at%20night**")
    expect(page.locator(".rm-hit").first).to_be_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_it_is_wider_than_its_window(
    browser: Browser, live_server: Any, greenhouse: Workspace, tmp_path: Path, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": 1600, "height": 1000},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    visit = Visit(context.new_page(), live_server.url)
    sign_in(visit, "alice", PASSWORD)
    visit.open("/admin/search/?q=boiler+pressure")
    with workspace_scope(greenhouse.id):
        receipt = Receipt.objects.get()
        make_memory("The boiler has no pressure any more.")
    pages = {
        "start": "/admin/search/",
        "hits": "/admin/search/?q=boiler+pressure+since+monday&kinds=message&kinds=memory",
        "wrong": "/admin/search/?q=boiler&agent=nobody&from=x",
        "nothing": "/admin/search/?q=zeppelin&mode=lexical",
        "again": url(Receipt, "again", receipt.pk),
        "receipt": url(Receipt, "change", receipt.pk),
    }
    for name, path in pages.items():
        visit.page.set_viewport_size({"width": 1600, "height": 1000})
        visit.open(path)
        if name == "hits":
            visit.page.locator("summary", has_text=re.compile("^analyticsWhy")).first.click()
            visit.page.locator("summary", has_text="Before and after").first.click()
        for width in (1600, 1024, 390):
            visit.page.set_viewport_size({"width": width, "height": 1000})
            shot = tmp_path / f"{name}-{width}-{scheme}.png"
            visit.page.screenshot(path=shot, full_page=name == "hits")
            assert visit.overflow() <= 0, (name, width)
    visit.page.set_viewport_size({"width": 1600, "height": 1000})
    visit.open("/admin/")
    open_palette(visit.page)
    visit.page.keyboard.type("boiler")
    expect(visit.page.get_by_text("Search everything for")).to_be_visible()
    for width in (1600, 390):
        visit.page.set_viewport_size({"width": width, "height": 1000})
        visit.page.screenshot(path=tmp_path / f"palette-{width}-{scheme}.png")
        assert visit.overflow() <= 0, width
    assert visit.complaints == []
    context.close()
