"""`manage.py backup` and `restore` as processes: made while serving, tried, restored, refused."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from config.embedded.layout import Paths, connection_urls
from config.embedded.temporary import temporary_server
from tests.commands import manage, refusal, well
from tests.faults.serving import Serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def agents(url: str, slug: str = "") -> list[str]:
    """Names of the agents that a login sees in a workspace, or in none."""
    with psycopg.connect(url) as connection:
        if slug:
            connection.execute(
                "SELECT set_config('app.workspace', id::text, true) FROM contacts_workspace "
                "WHERE slug = %s",
                [slug],
            )
        rows = connection.execute("SELECT name FROM contacts_agent ORDER BY name")
        return [name for (name,) in rows]


def callers(url: str) -> set[tuple[str, str]]:
    """Each function that runs as its owner, with each of these roles that may call it."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT p.oid::regprocedure::text, who FROM pg_proc p, "
            "unnest(ARRAY['public', 'app_rw', 'app_owner']) who "
            "WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace "
            "AND has_function_privilege(who, p.oid, 'EXECUTE')"
        )
        return set(rows)


def test_a_server_of_ones_own(tmp_path: Path) -> None:
    to = tmp_path / "backups"
    with temporary_server() as urls:

        def our(name: str, url: str, database: str) -> dict[str, str]:
            return {name: urlsplit(url)._replace(path=f"/{database}").geturl()}

        def settings(database: str) -> dict[str, str]:
            return {
                **our("DATABASE_URL", urls.runtime, database),
                **our("DATABASE_OWNER_URL", urls.owner, database),
                "SECRET_KEY": "as long as one has to be " * 3,
                "REMEMBRANCER_DATA_DIR": str(tmp_path / "data"),
                "REMEMBRANCER_BACKUP_DIR": str(to),
            }

        here = settings("remembrancer")
        well(manage("migrate", "--verbosity=0", **here))
        well(manage("bootstrap", **here))
        well(manage("createworkspace", "lab", "--name", "Lab", **here))
        well(manage("createkey", "--workspace", "lab", "--agent", "weaver", **here))

        assert "BYPASSRLS" in refusal(manage("backup", **here))
        with psycopg.connect(urls.superuser, autocommit=True) as server:
            server.execute("CREATE ROLE app_backup LOGIN BYPASSRLS PASSWORD 'let me read'")
            server.execute("GRANT pg_read_all_data TO app_backup")
            server.execute("CREATE DATABASE second OWNER app_owner TEMPLATE template1")
        reader = urls.owner.split("@")[1]
        here["DATABASE_BACKUP_URL"] = f"postgresql://app_backup:let%20me%20read@{reader}"

        assert "killed (SIGXFSZ)" in refusal(manage("backup", limited=True, **here))
        assert [path.name for path in to.iterdir()] == [".lock"]

        paths = []
        for _ in range(2):
            made = json.loads(well(manage("backup", "--keep", "1", "--json", **here)))
            paths.append(Path(made["path"]))
        assert made["removed"] == [str(paths[0])]
        assert [path.name for path in to.glob("*.dump")] == [paths[1].name]
        assert paths[1].stat().st_mode & 0o777 == 0o600

        there = settings("second")
        well(manage("restore", str(paths[1]), **there))
        runtime = there["DATABASE_URL"]
        assert agents(runtime) == []
        assert agents(runtime, "lab") == ["weaver"]
        assert agents(runtime, "default") == agents(here["DATABASE_URL"], "default") != []
        well(manage("verify", **there))
        assert callers(there["DATABASE_OWNER_URL"]) == callers(here["DATABASE_OWNER_URL"])
        assert {who for _, who in callers(runtime)} == {"app_rw"}
        assert "is not empty" in refusal(manage("restore", str(paths[1]), **there))


def test_the_embedded_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    here = {"REMEMBRANCER_DATA_DIR": str(data)}
    cluster = Paths(data).cluster
    runtime, _ = connection_urls(data)
    serve = Serve(data).wait_ready()
    try:
        runtime, _ = connection_urls(data)
        before = agents(runtime, "default")
        backup = json.loads(well(manage("backup", "--json", **here)))["path"]
        assert serve.get("/metrics") == 200
        well(manage("createkey", "--agent", "latecomer", **here))
        assert "stop that one" in refusal(manage("restore", backup, "--force", **here))
    finally:
        serve.stop()
        serve.log.close()

    cut = tmp_path / "cut.dump"
    whole = Path(backup).read_bytes()
    cut.write_bytes(whole[:-1])
    assert "end of file" in refusal(manage("restore", str(cut), "--force", **here))
    assert "--force" in refusal(manage("restore", backup, **here))

    # As a newer release finds the cluster of an older major version.
    (cluster / "PG_VERSION").write_text("17\n")
    assert "restore BACKUP --force" in refusal(manage("serve", **here))
    assert list(data.glob("restoring-*")) == []
    well(manage("restore", backup, "--force", **here))
    (former,) = data.glob("postgres.before-*")
    assert (former / "PG_VERSION").read_text() == "17\n"

    # Killed between its two renames.
    cluster.rename(data / "aside")
    assert former.name in refusal(manage("serve", **here))
    (data / "aside").rename(cluster)

    serve = Serve(data).wait_ready()
    try:
        assert agents(runtime, "default") == before
        assert agents(runtime) == []
    finally:
        serve.stop()
        serve.log.close()
