"""Disks that are really full: small ones in memory, which only root may mount."""

import json
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import manage, refusal, well
from tests.faults.serving import Serve, eventually
from tests.importers.legacy import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MB = 1024 * 1024
# Less than PostgreSQL's next 16 MB of log.
LITTLE = 8 * MB


class Disk:
    """A folder that is a disk of its own."""

    def __init__(self, megabytes: int) -> None:
        # Not below pytest's folder, which PostgreSQL's account may not enter.
        self.path = Path(tempfile.mkdtemp(prefix="remembrancer-disk-"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", self.path]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            self.path.rmdir()
            pytest.skip("no disk can be mounted here, so none can be filled")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)
        self.path.rmdir()

    @property
    def free(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, but: int = LITTLE) -> Path:
        """The file that does: it is to be removed."""
        ballast = self.path / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.free - but)
        return ballast


@pytest.fixture(scope="module")
def small() -> Iterator[Disk]:
    disk = Disk(1)
    yield disk
    disk.unmount()


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    disk = Disk(1000)
    yield disk
    disk.unmount()


@pytest.fixture(scope="module")
def serve(disk: Disk) -> Iterator[Serve]:
    found = Serve(disk.path / "data").wait_ready()
    yield found
    found.stop()
    found.log.close()


@pytest.fixture(scope="module")
def here(disk: Disk, serve: Serve) -> dict[str, str]:
    return {"REMEMBRANCER_DATA_DIR": str(disk.path / "data")}


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of 3 MB: some 30 in the database, with its raw lines, passages and log."""
    path = tmp_path_factory.mktemp("projects") / "5f0b8c52-0f0a-4d0c-9b36-7d0e8a3f1c11.jsonl"
    chance = random.Random(1)
    words = [chance.randbytes(4).hex() for _ in range(3000)]
    with path.open("w") as file:
        for n in range(600):
            line = {
                "type": "user", "uuid": f"00000000-0000-4000-8000-{n:012}", "cwd": "/work",
                "sessionId": path.stem, "timestamp": f"2026-11-01T10:{n // 60:02}:{n % 60:02}.000Z",
                "message": {"role": "user", "content": " ".join(chance.choices(words, k=550))},
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")
    return path


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return load(tmp_path_factory.mktemp("legacy")).root


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_nothing_is_left_where_files_have_no_room(
    small: Disk, here: dict[str, str], transcript: Path, legacy: Path, tmp_path: Path
) -> None:
    well(manage("import", "claude-code", str(transcript), **here))
    for form, output in (("ndjson", "a"), ("sql", "a"), ("markdown", "a"), ("markdown", ".")):
        where = str(small.path / output)
        said = refusal(manage("export", "--format", form, "--output", where, **here))
        assert "No space left on device; nothing was kept; free some" in said
        assert names(small.path) == []
    with (small.path / "piped").open("wb") as piped:
        said = refusal(manage("export", output=piped, **here))
    assert "no last line with a manifest" in said
    (small.path / "piped").unlink()

    said = refusal(manage("backup", "--to", str(small.path), **here))
    assert said.endswith(f"in {small.path}: free some, or name another folder with --to")
    assert names(small.path) == []

    full = here | {"TMPDIR": str(small.path)}
    for source, path in (
        ("experience-store", legacy / "ai_exp" / "raw_store.db"),
        ("archon", legacy / "archon" / "archon_export.sql.gz"),
    ):
        said = refusal(manage("import", source, str(path), **full))
        assert said.endswith(f"in {small.path}: free some, or set TMPDIR to a folder with more")
        assert names(small.path) == []
    # A backup that cannot be tried is no backup, and a second one takes its place.
    for _ in range(2):
        said = refusal(manage("backup", "--to", str(tmp_path), **full))
        assert "no space left to try the backup" in said
        assert len(names(tmp_path)) == 1
        assert names(small.path) == []


def test_the_database_goes_on_when_there_is_room_again(
    disk: Disk, serve: Serve, here: dict[str, str], transcript: Path, tmp_path: Path
) -> None:
    well(manage("createworkspace", "lab", **here))
    backup = json.loads(well(manage("backup", "--to", str(tmp_path), "--json", **here)))["path"]
    ballast = disk.fill()
    command = ("import", "claude-code", str(transcript), "--workspace=lab", "--json")
    assert "The disk of the database is nearly full" in refusal(manage(*command, **here))
    # Without what is kept for the database, PostgreSQL itself finds no room.
    careless = here | {"REMEMBRANCER_MIN_FREE_BYTES": "0"}
    assert "no space left on the database's disk" in refusal(manage(*command, **careless))
    ballast.unlink()
    eventually(lambda: serve.get("/readyz") == 200, "ready again")
    assert json.loads(well(manage(*command, **here)))["checked"]["ok"]
    well(manage("verify", "--waiting=1000", **here))

    serve.stop()
    before = names(disk.path / "data")
    ballast = disk.fill(30 * MB)
    done = manage("restore", backup, "--force", **here)
    assert done.returncode == 1
    # Before it may stand that PostgreSQL takes its time.
    assert "no space left to restore beside the database" in done.stderr.splitlines()[-1]
    ballast.unlink()
    assert names(disk.path / "data") == before
    well(manage("restore", backup, "--force", **here))
