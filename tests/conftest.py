"""One temporary server and one migrated database for each process of the run.

Tables are made by the owner's login; then every test runs as the runtime role, so that
row-level security holds in tests as it does for users.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import environ
import pytest
from django.db import connection, transaction

from config.db.operations import DatabaseOperations
from config.embedded.temporary import TemporaryUrls, temporary_server
from config.lib import room
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from tests import factories
from tests.gunicorn import WebServer

HERE = Path(__file__).parent
# What `make test` leaves to `make test-long`; tests/faults is of `make test-faults`.
LONG = (
    "browser",
    "admin/test_demo.py",
    "admin/test_permissions.py",
    "admin/test_single_sign_on.py",
    "api/test_concurrency.py",
    "api/test_hostile_values.py",
    "api/test_injections.py",
    "api/test_life_model.py",
    "api/test_lists_use_indexes.py",
    "api/test_redaction_everywhere.py",
    "api/test_worker_races.py",
    "importers/test_claude_code_fuzz.py",
    "importers/test_import_properties.py",
    "importers/test_legacy_databases.py",
    "search/test_races.py",
    "search/test_rare_rows.py",
    "search/test_spaces.py",
    "shim/test_delivery.py",
    "shim/test_elsewhere.py",
    "unit/test_benchmarks_run.py",
    "unit/test_erasing_races.py",
    "unit/test_migrations.py",
    "unit/test_seed_demo.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    if any(item.path.is_relative_to(HERE / part) for part in LONG):
        item.add_marker("long")
    if item.path.is_relative_to(HERE / "faults"):
        item.add_marker("faults")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files, slow ones first: what several processes take last must be short, or all but one
    of them wait for it."""
    tests = Counter(item.path for item in items)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, -tests[item.path], item.path))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: garbage is looked for in what is new."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session")
def database_server() -> Iterator[TemporaryUrls]:
    # Nothing here outlives the run, so nothing is flushed to disk.
    with temporary_server(fsync=False) as urls:
        yield urls


def log_in(url: str) -> None:
    """Point Django's connection at another login of the same database."""
    connection.close()
    parsed = environ.Env.db_url_config(url)
    connection.settings_dict.update(
        USER=parsed["USER"],
        PASSWORD=parsed["PASSWORD"],
        HOST=parsed.get("HOST", ""),
        PORT=parsed.get("PORT", ""),
        OPTIONS=parsed.get("OPTIONS", {}),
    )


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_server: TemporaryUrls) -> None:
    log_in(database_server.owner)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """It goes with its server."""
    return True


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, database_server: TemporaryUrls, django_db_blocker: Any
) -> Iterator[None]:
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            # How transactional tests clean up after themselves, and full tables are analysed;
            # nobody else may.
            cursor.execute("GRANT TRUNCATE, MAINTAIN ON ALL TABLES IN SCHEMA public TO app_rw")
        log_in(database_server.runtime)
    yield
    with django_db_blocker.unblock():
        log_in(database_server.owner)


@pytest.fixture(scope="session", autouse=True)
def _usage_is_emptied_first() -> Iterator[None]:
    """A web server that outlives a test counts its requests a second later, first in this table:
    emptied after others that it takes next, one would wait for the other for ever."""
    usual = DatabaseOperations.sql_flush

    def sql_flush(self: DatabaseOperations, *args: Any, **options: Any) -> list[str]:
        return ["LOCK TABLE contacts_usageday", *usual(self, *args, **options)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        yield


@pytest.fixture(autouse=True)
def _no_jobs_are_left(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    """Django's clean-up after a test that commits knows its own tables, not the job queue's."""
    yield
    marker = request.node.get_closest_marker("django_db")
    commits = marker is not None and marker.kwargs.get("transaction", False)
    if commits or "transactional_db" in request.fixturenames:
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_periodic_defers CASCADE")


Making = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def module_rows(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[Making]:
    """For fixtures of a module's scope: `with module_rows():` rows are made once for all its tests.

    A transaction around the whole module, in which each test has its savepoint: every test finds
    the rows as they were made, whatever the one before did to them. Not for tests that commit.
    """
    for item in request.session.items:
        if item.path == request.path and (marker := item.get_closest_marker("django_db")):
            assert not marker.kwargs.get("transaction"), f"{item.nodeid} commits"
    with django_db_blocker.unblock():
        whole = transaction.atomic()
        # Scopes are durable transactions, and take their test's savepoint for none.
        whole._from_testcase = True  # type: ignore[attr-defined]
        whole.__enter__()
    yield django_db_blocker.unblock
    with django_db_blocker.unblock():
        transaction.set_rollback(True)
        whole.__exit__(None, None, None)


@pytest.fixture(scope="session")
def port(django_db_setup: None, database_server: TemporaryUrls) -> Iterator[int]:
    """Of a web server as production runs it, on the tests' database, whose rows it sees once a
    test commits: for tests that are transactional."""
    server = WebServer(database_server)
    server.start()
    yield server.port
    server.kill()


@pytest.fixture
def workspace(db: None) -> Workspace:
    """Where alice works."""
    return factories.make_workspace("greenhouse")


@pytest.fixture
def other_workspace(db: None) -> Workspace:
    """Where charlie works, who must not see what alice has."""
    return factories.make_workspace("elsewhere")


@pytest.fixture
def scoped(workspace: Workspace) -> Iterator[Workspace]:
    """The test runs inside alice's workspace."""
    with workspace_scope(workspace.id):
        yield workspace


@pytest.fixture
def rows(workspace: Workspace) -> Callable[..., list[Any]]:
    """Rows of a model in alice's workspace, in order."""

    def _rows(model: Any, **wanted: Any) -> list[Any]:
        with workspace_scope(workspace.id):
            return list(model.objects.filter(**wanted).order_by("id"))

    return _rows


@pytest.fixture
def full(settings: Any, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """`full()`: less is free on the disk of the database than is to be; `full(False)`: there is
    room again."""
    settings.EMBEDDED = True

    def fill(is_full: bool = True) -> None:
        settings.MIN_FREE_BYTES = 10**17 if is_full else 1
        room.look_anew()

    yield fill
    settings.EMBEDDED = False
    room.look_anew()
