"""The home page by keyboard alone, and while it renews itself under a person's hands."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.models import Ping, Priority
from sessions.services.pings import answer_ping, create_ping
from sessions.services.priorities import create_priority
from tests import factories
from tests.admin.conftest import person
from tests.browser.conftest import Visit, sign_in
from tests.factories import ALICE, make_memory, make_session

pytestmark = pytest.mark.slow

PASSWORD = "a long password"
# A little more than the page waits between two looks.
A_LOOK = 15_500


@pytest.fixture
def garden(transactional_db: None) -> Workspace:
    workspace = factories.make_workspace("garden")
    person("alice", (workspace, "owner"))
    with workspace_scope(workspace.id):
        for text in ("Sow", "Water", "Mow"):
            create_priority(actor=ALICE, content=text)
        for text in ("May the pump start?", "May it stop?"):
            create_ping(actor=ALICE, message=text, options=["yes", "no"])
        make_memory("Perhaps the moon waters them.", state="quarantined")
        make_session(name="Watch the beds", context_used_percent=40)
    return workspace


def lines(page: Page) -> list[str]:
    return page.locator("[data-lines] .rm-line-text").all_inner_texts()


def focused(page: Page) -> str:
    found = page.evaluate("document.activeElement.getAttribute('aria-label')")
    return str(found)


def tab_to(page: Page, label: str) -> None:
    for _ in range(150):
        if focused(page) == label:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{label} was not reached")


def test_a_priority_is_moved_and_completed_by_keyboard(visit: Visit, garden: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    assert lines(page) == ["Sow", "Water", "Mow"]
    tab_to(page, "Mow")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("[data-lines] .rm-line-text").nth(1)).to_have_text("Mow")
    assert focused(page) == "Mow"
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("[data-lines] .rm-line-text").nth(0)).to_have_text("Mow")
    assert focused(page) == "Mow"
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="Mow")).to_be_checked()
    assert focused(page) == "Mow"
    tab_to(page, "Add a priority")
    page.keyboard.type("Rake")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 4 done")).to_be_visible()
    assert focused(page) == "Add a priority"
    expect(page.get_by_label("Add a priority")).to_have_value("")
    with workspace_scope(garden.id):
        rows = Priority.objects.order_by("position", "id")
        assert [row.content for row in rows] == ["Mow", "Sow", "Water", "Rake"]
        assert [row.completed_at is not None for row in rows] == [True, False, False, False]
    assert visit.complaints == []


def test_a_line_is_dragged_to_its_place(visit: Visit, garden: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    rows = page.locator("[data-lines] > li")
    rows.nth(2).drag_to(rows.nth(0), target_position={"x": 80, "y": 3})
    expect(page.locator("[data-lines] .rm-line-text").nth(0)).to_have_text("Mow")
    assert lines(page) == ["Mow", "Sow", "Water"]
    assert visit.complaints == []


def test_a_ping_is_answered_by_keyboard_and_the_next_one_is_at_hand(
    visit: Visit, garden: Workspace
) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    tab_to(page, "Answer “yes” to: May the pump start?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="May the pump start?")).to_have_count(0)
    expect(page.get_by_text("Answered: the agent is told.")).to_be_visible()
    assert focused(page) == "Answer “yes” to: May it stop?"
    tab_to(page, "Answer in words: May it stop?")
    page.keyboard.type("At dusk.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="May it stop?")).to_have_count(0)
    assert focused(page) == "Approve: Perhaps the moon waters them."
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing needs you")).to_be_visible()
    assert page.evaluate("document.activeElement.textContent") == "Needs you"
    with workspace_scope(garden.id):
        answers = Ping.objects.order_by("created_at").values_list("answer", flat=True)
        assert list(answers) == ["yes", "At dusk."]
    assert visit.complaints == []


def test_renewing_leaves_focus_text_and_scroll(visit: Visit, garden: Workspace) -> None:
    page = visit.page
    page.clock.install()
    page.set_viewport_size({"width": 1280, "height": 500})
    sign_in(visit, "alice", PASSWORD)
    words = page.get_by_label("Answer in words: May it stop?")
    words.press_sequentially("Not bef")
    page.evaluate("window.scrollTo(0, 200); window.held = document.activeElement")
    table = page.get_by_text("The last 24 hours as a table")
    table.click()
    words.focus()
    at = page.evaluate("window.scrollY")
    with workspace_scope(garden.id):
        first, second = Ping.objects.order_by("created_at")
        answer_ping(actor=ALICE, ping_id=first.pk, answer="no")
        create_ping(actor=ALICE, message="And the lamp?", severity="urgent")
        create_priority(actor=ALICE, content="Rake")
        make_session(name="Mend the hose")
    page.clock.fast_forward(A_LOOK)
    expect(page.get_by_role("link", name="And the lamp?")).to_be_attached()
    expect(page.get_by_role("link", name="May the pump start?")).to_have_count(0)
    expect(page.get_by_text("Rake", exact=True)).to_be_attached()
    expect(page.get_by_text("Mend the hose")).to_be_attached()
    expect(words).to_have_value("Not bef")
    assert page.evaluate("document.activeElement === window.held")
    assert abs(page.evaluate("window.scrollY") - at) < 150
    expect(page.locator("details[open] > summary")).to_have_text("The last 24 hours as a table")
    page.keyboard.type("ore dawn.")
    # Settled by somebody else while the answer is half typed: it says so and keeps the words.
    with workspace_scope(garden.id):
        answer_ping(actor=ALICE, ping_id=second.pk, answer="yes")
    page.clock.fast_forward(A_LOOK)
    expect(page.locator("[data-gone]")).to_have_count(1)
    expect(words).to_have_value("Not before dawn.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing was done: this ping was changed meanwhile.")).to_be_visible()
    expect(page.get_by_role("link", name="May it stop?")).to_have_count(0)
    assert visit.complaints == []


def test_it_says_softly_when_the_server_is_away_or_one_is_signed_out(
    visit: Visit, garden: Workspace
) -> None:
    page = visit.page
    page.clock.install()
    sign_in(visit, "alice", PASSWORD)
    state = page.locator("[data-home-state]")
    expect(state).to_be_empty()
    page.context.set_offline(True)
    page.clock.fast_forward(A_LOOK)
    expect(state).to_have_text(re.compile("offline|Not reachable"))
    page.context.set_offline(False)
    page.clock.fast_forward(A_LOOK)
    expect(state).to_be_empty()
    # As if it had been opened in another workspace than the one that is chosen by now.
    page.locator("[data-home]").evaluate("home => { home.dataset.workspace = 'another' }")
    page.clock.fast_forward(A_LOOK)
    expect(state).to_have_text("You changed the workspace in another tab. Show that one")
    page.reload()
    page.context.clear_cookies()
    page.clock.fast_forward(A_LOOK)
    expect(state).to_have_text("You are signed out. Sign in again")
    expect(page.get_by_text("May the pump start?").first).to_be_visible()


def test_without_scripts_the_page_is_plain_forms(
    browser: Browser, live_server: Any, garden: Workspace
) -> None:
    context = browser.new_context()
    visit = Visit(context.new_page(), live_server.url)
    sign_in(visit, "alice", PASSWORD)
    cookies: Any = context.cookies()
    context.close()
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(cookies)
    visit = Visit(context.new_page(), live_server.url)
    visit.open("/admin/")
    page = visit.page
    page.get_by_label("Answer “no” to: May it stop?").click()
    page.wait_for_url("**/admin/#needed")
    with workspace_scope(garden.id):
        assert Ping.objects.get(message="May it stop?").answer == "no"
    page.get_by_label("Move up: Mow").click()
    page.wait_for_url("**/admin/#today")
    assert lines(page) == ["Sow", "Mow", "Water"]
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_window(
    browser: Browser, live_server: Any, garden: Workspace, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": 1600, "height": 900}, color_scheme=scheme)
    visit = Visit(context.new_page(), live_server.url)
    sign_in(visit, "alice", PASSWORD)
    for width in (1600, 1024, 390):
        visit.page.set_viewport_size({"width": width, "height": 900})
        assert visit.overflow() <= 0, width
    assert visit.complaints == []
    context.close()
