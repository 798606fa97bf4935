"""From an older major version of PostgreSQL inside to ours: by a backup, with the old one kept."""

import re
import subprocess
from pathlib import Path

import pytest

from config.embedded.layout import Paths
from config.embedded.server import MAJOR, programs
from tests.commands import manage, refusal, well
from tests.faults.serving import Serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Not what the job worker changes with time.
KINDS = "message,contact,contactemail,tag,contacttag"
EXPORT = ("export", "--workspace=demo", f"--kinds={KINDS}", "--output")


def older_programs() -> tuple[Path, int]:
    """Those of an older major, which the package of ours may bring along; with pgvector."""
    for folder in sorted(programs().parents[1].glob("pginstall*/bin")):
        if not (folder / "postgres").exists():
            continue
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, check=True)
        major = int(re.findall(rb"\) (\d+)", said.stdout)[0])
        if major < MAJOR and list(folder.parent.glob("share/**/vector.control")):
            return folder, major
    pytest.skip(f"no PostgreSQL older than {MAJOR} with pgvector is here to upgrade from")


def test_a_cluster_of_an_older_major_becomes_one_of_ours(tmp_path: Path) -> None:
    folder, major = older_programs()
    older = ("-m", "tests.faults.older_major", str(folder), str(major))
    data = tmp_path / "data"
    here = {"REMEMBRANCER_DATA_DIR": str(data), "REMEMBRANCER_BACKUP_HOURS": "0"}
    before, after = tmp_path / "before.ndjson", tmp_path / "after.ndjson"
    serve = Serve(data, program=older, REMEMBRANCER_BACKUP_HOURS="0").wait_ready()
    try:
        well(manage("seed_demo", "--now", "2026-11-20", **here))
        well(manage(*EXPORT, str(before), **here))
        well(manage("backup", "--to", str(tmp_path), program=older, **here))
    finally:
        serve.stop()
        serve.log.close()
    (backup,) = tmp_path.glob("*.dump")
    cluster = Paths(data).cluster
    assert (cluster / "PG_VERSION").read_text() == f"{major}\n"

    assert f"made by PostgreSQL {major}" in refusal(manage("serve", **here))
    assert "--force" in refusal(manage("restore", str(backup), **here))
    well(manage("restore", str(backup), "--force", **here))

    assert (cluster / "PG_VERSION").read_text() == f"{MAJOR}\n"
    (former,) = data.glob("postgres.before-*")
    said = subprocess.run([folder / "pg_controldata", former], capture_output=True, check=True)
    assert re.search(rb"cluster state: +shut down\n", said.stdout)
    serve = Serve(data, REMEMBRANCER_BACKUP_HOURS="0").wait_ready()
    try:
        well(manage("verify", "--waiting=1000", **here))
        well(manage(*EXPORT, str(after), **here))
    finally:
        serve.stop()
        serve.log.close()
    assert after.read_bytes() == before.read_bytes()
