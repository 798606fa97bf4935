"""A dry run in an empty database, whose rows no statistics ever count, as nothing is committed."""

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from config.embedded.temporary import temporary_server
from tests.commands import manage, well
from tests.importers import made

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_its_keys_are_looked_up_where_each_is_one_step(tmp_path: Path) -> None:
    """By the index of the key, not by one of the workspace of which all is read for each row: with
    that a hundred thousand rows took twice the time that bringing them takes."""
    path = tmp_path / "conversations.json"
    made.chatgpt(path, 1500)
    with temporary_server() as urls:
        here = {
            "DATABASE_URL": urls.runtime,
            "DATABASE_OWNER_URL": urls.owner,
            "SECRET_KEY": "as long as one has to be " * 3,
            "REMEMBRANCER_DATA_DIR": str(tmp_path / "data"),
        }
        well(manage("migrate", "--verbosity=0", **here))
        well(manage("bootstrap", **here))
        well(manage("import", "chatgpt", str(path), "--dry-run", **here))
        database = urlsplit(urls.runtime).path
        with psycopg.connect(urlsplit(urls.superuser)._replace(path=database).geturl()) as server:
            scans = dict(
                server.execute(
                    "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE "
                    "indexrelname IN ('agent_sessions_message_pkey', 'message_time')"
                ).fetchall()
            )
    # For some thousand rows either costs the same.
    assert scans.get("agent_sessions_message_pkey", 0) > 2_000, scans
