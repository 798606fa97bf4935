"""Ordered work by keyboard and by mouse, and a bulk run whose page brings itself up to date."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from config.lib.scope import workspace_scope
from contacts.models import BulkRun, Workspace
from contacts.selectors import today
from contacts.services import bulk
from contacts.services.bulk import propose
from contacts.tasks import work_bulk_run
from sessions.models import Priority, Task
from sessions.services.priorities import create_priority
from sessions.services.projects import create_project
from sessions.services.tasks import create_task, move_task
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import url
from tests.browser.conftest import Visit, sign_in
from tests.factories import ALICE

pytestmark = pytest.mark.slow

PASSWORD = "a long password"


@pytest.fixture
def greenhouse(transactional_db: None) -> Workspace:
    workspace = factories.make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    with workspace_scope(workspace.id):
        project = create_project(actor=ALICE, title="Beds")
        for title in ("Dig", "Sow", "Water"):
            create_task(actor=ALICE, title=title, project_id=project.pk)
        create_task(actor=ALICE, title="Mulch", project_id=project.pk, status="doing")
        for content in ("Prune", "Repot"):
            create_priority(actor=ALICE, content=content)
    return workspace


def titles(page: Page, column: str) -> list[str]:
    return page.locator(f'[data-column="{column}"] [data-grip]').all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText"))


def test_a_task_is_moved_by_keyboard_and_it_is_said(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(url(Task, "board"))
    said = page.locator("[data-live-said]")
    page.get_by_role("link", name="Sow").focus()
    page.keyboard.press("Shift+ArrowUp")
    expect(said).to_have_text("“Sow” is in Todo now, place 1.")
    assert titles(page, "todo") == ["Sow", "Dig", "Water"]
    assert focused(page) == "Sow"
    page.keyboard.press("Shift+ArrowRight")
    expect(said).to_have_text("“Sow” is in Doing now, place 1.")
    assert titles(page, "doing") == ["Sow", "Mulch"]
    # Arrows alone move the focus, over an empty column too.
    page.keyboard.press("ArrowDown")
    assert focused(page) == "Mulch"
    page.keyboard.press("ArrowLeft")
    assert focused(page) == "Water"
    # Two at once: one after the other, each where the one before left it.
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    expect(said).to_have_text("“Water” is in Doing now, place 1.")
    page.keyboard.press("Shift+ArrowUp")
    expect(said).to_have_text("It cannot go further that way.")
    assert visit.complaints == []


def test_what_somebody_else_moved_is_shown(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(url(Task, "board"))
    with workspace_scope(greenhouse.id):
        move_task(actor=ALICE, task_id=Task.objects.get(title="Sow").pk, status="done")
    page.get_by_role("link", name="Sow").focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".rm-said-problem")).to_contain_text("Somebody moved or changed this task")
    assert titles(page, "done") == ["Sow"]
    # A refused move is an answer of 409, which the console names; nothing else may be there.
    assert [c for c in visit.complaints if "409" not in c] == []


def test_a_task_is_dragged_to_another_column(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(url(Task, "board"))
    dig = page.locator("[data-item]", has_text="Dig")
    dig.drag_to(page.locator('[data-column="review"]'))
    expect(page.locator('[data-column="review"] [data-grip]')).to_have_text(["Dig"])
    with workspace_scope(greenhouse.id):
        assert Task.objects.get(title="Dig").status == "review"
    assert visit.complaints == []


def test_priorities_are_added_completed_and_moved_by_keyboard(
    visit: Visit, greenhouse: Workspace
) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open(url(Priority, "days"))
    with workspace_scope(greenhouse.id):
        day = today()
    here, next_day = f"{day}|main", f"{day + timedelta(days=1)}|main"
    page.locator(f'[data-focus="{here}"]').focus()
    page.keyboard.type("Water")
    page.keyboard.press("Enter")
    expect(page.locator(f'[data-column="{here}"] [data-grip]')).to_have_text(
        ["Prune", "Repot", "Water"]
    )
    # Ready for the next one.
    assert page.evaluate("document.activeElement.dataset.focus") == here
    page.get_by_role("button", name="Complete “Prune”").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-live-said]")).to_have_text("“Prune” is completed.")
    page.get_by_role("link", name="Water").focus()
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator(f'[data-column="{here}"] [data-grip]')).to_have_text(
        ["Prune", "Water", "Repot"]
    )
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(f'[data-column="{next_day}"] [data-grip]')).to_have_text(["Water"])
    with workspace_scope(greenhouse.id):
        assert Priority.objects.get(content="Water").date == day + timedelta(days=1)
        assert Priority.objects.get(content="Prune").completed_at is not None
    assert visit.complaints == []


def test_without_a_script_the_same_buttons_work(
    visit: Visit, greenhouse: Workspace, browser: object
) -> None:
    context = visit.page.context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
    plain = Visit(context.new_page(), visit.base)
    sign_in(plain, "alice", PASSWORD)
    plain.open(url(Task, "board"))
    card = plain.page.locator("[data-item]", has_text="Sow")
    card.locator("summary").click()
    card.get_by_role("button", name="To the column after").click()
    expect(plain.page.locator('[data-column="doing"] [data-grip]')).to_have_text(["Sow", "Mulch"])
    context.close()


def test_a_runs_page_follows_it(visit: Visit, greenhouse: Workspace) -> None:
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    with workspace_scope(greenhouse.id):
        ids = [str(pk) for pk in Task.objects.order_by("pk").values_list("pk", flat=True)]
        run = propose(
            actor=ALICE, model="agent_sessions.task", action="done", title="Done: tasks",
            ids=ids, total=len(ids),
        )  # fmt: skip
    visit.open(url(BulkRun, "change", run.pk))
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "0")
    work_bulk_run(str(greenhouse.id), str(run.pk))
    # Nobody loads the page again.
    expect(page.locator(".rm-run-phase h3")).to_contain_text("Done")
    expect(page.get_by_role("button", name="Take it back")).to_be_visible()
    with workspace_scope(greenhouse.id):
        assert bulk.lost_runs() == []
        assert set(Task.objects.values_list("status", flat=True)) == {"done"}
    assert visit.complaints == []


def test_all_rows_that_match_become_a_run(
    visit: Visit, greenhouse: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contacts.admin.bulk.MAX_BULK", 50)
    page = visit.page
    with workspace_scope(greenhouse.id):
        for n in range(50):
            create_task(actor=ALICE, title=f"Row {n}")
    sign_in(visit, "alice", PASSWORD)
    visit.open(f"{url(Task, 'changelist')}?status__in=todo")
    page.locator("#action-toggle").check()
    page.get_by_text("Select all 53 tasks").click()
    page.select_option("select[name=action]", "done")
    page.locator("button[name=index]").click()
    expect(page.get_by_text("53 rows matched the list")).to_be_visible()
    with workspace_scope(greenhouse.id):
        run = BulkRun.objects.get()
    assert (run.query, run.total) == ("status__in=todo", 53)
    assert visit.complaints == []
