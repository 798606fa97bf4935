"""A dry run in an empty database, whose rows no statistics ever count, as nothing is committed."""

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from config.embedded.temporary import temporary_server
from tests.commands import manage, well
from tests.importers import made

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _read_of(tmp_path: Path, source: str, path: Path) -> dict[str, tuple[int, int]]:
    """How often each index was asked in a dry run, and how many entries of it were read."""
    with temporary_server() as urls:
        here = {
            "DATABASE_URL": urls.runtime,
            "DATABASE_OWNER_URL": urls.owner,
            "SECRET_KEY": "as long as one has to be " * 3,
            "REMEMBRANCER_DATA_DIR": str(tmp_path / "data"),
        }
        well(manage("migrate", "--verbosity=0", **here))
        well(manage("bootstrap", **here))
        well(manage("import", source, str(path), "--dry-run", **here))
        database = urlsplit(urls.runtime).path
        with psycopg.connect(urlsplit(urls.superuser)._replace(path=database).geturl()) as server:
            rows = server.execute(
                "SELECT indexrelname, idx_scan, idx_tup_read FROM pg_stat_user_indexes"
            ).fetchall()
    return {name: (asked, read) for name, asked, read in rows}


def test_its_keys_are_looked_up_where_each_is_one_step(tmp_path: Path) -> None:
    """By the index of the key, not by one of the workspace of which all is read for each row: with
    that a hundred thousand rows took twice the time that bringing them takes."""
    path = tmp_path / "conversations.json"
    made.chatgpt(path, 1500)
    read_of = _read_of(tmp_path, "chatgpt", path)
    # For some thousand rows either costs the same.
    assert read_of["agent_sessions_message_pkey"][0] > 2_000, read_of


def test_what_is_there_of_a_batch_is_looked_up_by_its_keys(tmp_path: Path) -> None:
    """The same for the source's own keys, hundreds at once, which adding up asks for again: with
    two hundred thousand memories it read the workspace four hundred times."""
    memories = 20_000
    path = tmp_path / "mem0.json"
    made.mem0(path, memories)
    read_of = _read_of(tmp_path, "mem0", path)
    assert read_of["memory_external_id_unique"][1] >= memories, read_of
    # Each row once for its own foreign keys, and the workspace a few times while it is small.
    assert read_of["memory_memory_pkey"][1] < 20 * memories, read_of
