"""Moving in by the browser alone: uploaded in pieces, tried dry, imported while one looks, taken
back."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.importers import job
from memory.models import ImportRun, Memory
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import url
from tests.browser.conftest import Visit, sign_in
from tests.importers.stores import experience_store

pytestmark = pytest.mark.slow

PASSWORD = "a long password"


@pytest.fixture
def greenhouse(transactional_db: None, settings: Any, tmp_path: Path) -> Workspace:
    settings.DATA_DIR = tmp_path / "data"
    workspace = factories.make_workspace("greenhouse")
    person("otto", (workspace, "operator"))
    return workspace


def work(workspace: Workspace) -> None:
    with workspace_scope(workspace.id):
        run = ImportRun.objects.get()
    job.work(workspace.id, run.pk, lambda: False)


def memories(workspace: Workspace) -> int:
    with workspace_scope(workspace.id):
        return Memory.objects.count()


def phase(page: Page, text: str) -> None:
    expect(page.locator(".rm-run-phase h3")).to_contain_text(text)


def test_a_store_is_uploaded_tried_imported_and_taken_back(
    visit: Visit, greenhouse: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of which the file is several.
    monkeypatch.setattr("memory.admin.import_upload.PIECE_BYTES", 4096)
    store = experience_store(tmp_path / "raw_store.db", ["The pump starts at noon.", "Shade.", ""])
    assert store.stat().st_size > 2 * 4096
    page = visit.page
    sign_in(visit, "otto", PASSWORD)
    visit.open(url(ImportRun, "changelist"))
    page.locator("#content-main, main").get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("Files").set_input_files(store)
    page.get_by_role("button", name="Upload").click()
    phase(page, "Looking at what was uploaded")
    work(greenhouse)
    # Nobody loads the page again.
    phase(page, "What is it?")
    expect(page.get_by_label("Source")).to_have_value("experience-store")
    page.get_by_role("button", name="Dry run").click()
    phase(page, "Dry run: nothing is kept")
    work(greenhouse)
    phase(page, "this would happen; nothing was kept")
    expect(page.locator("dl.rm-meters")).to_contain_text("Would be new")
    expect(page.get_by_text("became (empty)")).to_be_visible()
    assert memories(greenhouse) == 0
    page.get_by_role("button", name="Import", exact=True).click()
    phase(page, "Importing")
    work(greenhouse)
    phase(page, "Imported")
    expect(page.get_by_role("heading", name="It adds up")).to_be_visible()
    assert memories(greenhouse) == 3
    page.get_by_role("button", name="Take it back …").click()
    phase(page, "Looking at what would go")
    work(greenhouse)
    expect(page.get_by_role("heading", name="Taking it back would do this")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Take it back").click()
    phase(page, "Taking it back")
    work(greenhouse)
    phase(page, "Taken back")
    assert memories(greenhouse) == 0
    assert visit.complaints == []
