"""`manage.py export --format sql`, loaded by psql into an empty database: the same workspace."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from config.embedded.server import programs
from config.embedded.temporary import temporary_server
from tests.commands import manage, well

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_psql_makes_the_same_workspace(tmp_path: Path) -> None:
    with temporary_server(fsync=False) as urls:

        def settings(database: str) -> dict[str, str]:
            return {
                "DATABASE_URL": urlsplit(urls.runtime)._replace(path=f"/{database}").geturl(),
                "DATABASE_OWNER_URL": urlsplit(urls.owner)._replace(path=f"/{database}").geturl(),
                "SECRET_KEY": "as long as one has to be " * 3,
                "REMEMBRANCER_DATA_DIR": str(tmp_path / "data"),
            }

        def psql(url: str, file: Path) -> None:
            command = [programs() / "psql", url, "-q", "-v", "ON_ERROR_STOP=1", "-f", file]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[:2000]

        here = settings("remembrancer")
        well(manage("migrate", "--verbosity=0", **here))
        well(manage("seed_demo", "--now", "2026-11-20", **here))
        for name in ("sql", "ndjson"):
            output = str(tmp_path / f"demo.{name}")
            well(manage("export", "--workspace=demo", "--format", name, "--output", output, **here))
        # The runtime role, which row-level security holds, and an administrator, whom it does not.
        for database, login in (("second", urls.runtime), ("third", urls.superuser)):
            there = settings(database)
            with psycopg.connect(urls.superuser, autocommit=True) as server:
                server.execute(f"CREATE DATABASE {database} OWNER app_owner TEMPLATE template1")
            well(manage("migrate", "--verbosity=0", **there))
            url = urlsplit(login)._replace(path=f"/{database}").geturl()
            if database == "second":
                cut = tmp_path / "cut.sql"
                cut.write_text((tmp_path / "demo.sql").read_text().rpartition("COMMIT;")[0])
                psql(url, cut)
            psql(url, tmp_path / "demo.sql")
            again = tmp_path / f"{database}.ndjson"
            well(manage("export", "--workspace=demo", "--output", str(again), **there))
            assert again.read_bytes() == (tmp_path / "demo.ndjson").read_bytes()
        well(manage("verify", "--fix", **there))
        well(manage("verify", **there))
