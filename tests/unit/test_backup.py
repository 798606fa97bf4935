"""What backups refuse, when one is due, what rotation takes, and who is told of the last one."""

from datetime import timedelta
from pathlib import Path

import pytest

from config.lib import clock
from memory.backup import making
from memory.backup.dump import Dump, folder_for_backups, require_backup
from memory.backup.programs import BackupError, Login, program_for
from memory.backup.trial import Outcome
from memory.models import Backup

URL = "postgresql://app_owner:secret@127.0.0.1:1/remembrancer"


def program(folder: Path, text: str) -> Path:
    folder.mkdir()
    found = folder / "pg_dump"
    found.write_text(f"#!/bin/sh\n{text}\n")
    found.chmod(0o755)
    return found


def test_programs_are_not_older_than_the_server(tmp_path, monkeypatch, settings):
    settings.EMBEDDED = False
    old = program(tmp_path / "old", "echo 'pg_dump (PostgreSQL) 14.2'")
    monkeypatch.setenv("PATH", str(old.parent))
    assert program_for("pg_dump", 14, Login(URL)) == old
    # Ours is newer, and knows no TLS.
    assert program_for("pg_dump", 17, Login(URL)).parent != old.parent
    for major, url in ((99, URL), (17, f"{URL}?sslmode=require")):
        with pytest.raises(BackupError, match=f"older than the server .{major}.; install"):
            program_for("pg_dump", major, Login(url))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="not installed; install PostgreSQL 99"):
        program_for("pg_dump", 99, Login(URL))


def test_no_password_is_on_a_command_line():
    login = Login(URL)
    assert "secret" not in login.option
    assert login.environment["PGPASSWORD"] == "secret"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"BEGIN:VCARD\n", "vCards; try: import vcard"),
        (b"PGDMP\x01\x10", "damaged or cut off"),
    ],
)
def test_what_is_no_backup_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BackupError, match=words) as refused:
        require_backup(path)
    assert "\n" not in refused.value.detail
    with pytest.raises(BackupError, match="cannot be read"):
        require_backup(tmp_path / "missing")


def test_one_backup_at_a_time_and_what_a_killed_one_left_is_gone(tmp_path):
    (tmp_path / ".remembrancer-20260101-000000Z.dump.part").touch()
    with folder_for_backups(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        with pytest.raises(BackupError, match="another backup"):
            with folder_for_backups(tmp_path):
                pass
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="name another folder"):
        with folder_for_backups(tmp_path / "file"):
            pass


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Makes a backup of this name without a server; `findings` are what its trial finds, unless it
    is killed in it."""

    def make(name: str, findings: int = 0, keep: int = 2, killed: bool = False) -> making.Made:
        path = tmp_path / f"remembrancer-{name}.dump"

        def dump(login: Login, folder: Path) -> Dump:
            path.touch()
            return Dump(path, 0, "", clock.now())

        def try_out(path: Path) -> Outcome:
            if killed:
                raise KeyboardInterrupt
            return outcome

        outcome = Outcome(findings, [{"workspace": "lab", "name": "rows", "problems": ["gone"]}])
        monkeypatch.setattr(making, "backup_login", lambda: Login(URL))
        monkeypatch.setattr(making, "dump", dump)
        monkeypatch.setattr(making, "try_out", try_out)
        return making.make_backup(to=tmp_path, keep=keep)

    return make


def test_rotation_keeps_whole_ones_and_an_unverified_one_costs_none(db, made, tmp_path):
    for name in ("1", "2"):
        assert made(name).removed == []
    with pytest.raises(BackupError, match="found 1 wrong in it, first lab, rows: gone"):
        made("3", findings=1)
    assert [path.name[13] for path in sorted(tmp_path.glob("*.dump"))] == ["1", "2", "3"]
    with pytest.raises(BackupError):
        made("3a", findings=1)
    assert [path.name[13:15] for path in sorted(tmp_path.glob("*.dump"))] == ["1.", "2.", "3a"]
    assert [path.name[13] for path in made("4").removed] == ["1", "3"]
    assert Backup.objects.filter(kept=True).count() == 2
    assert made("5", keep=0).removed == []


def test_one_that_was_killed_in_its_trial_counts_as_no_verified_one(db, made, tmp_path):
    made("1")
    with pytest.raises(KeyboardInterrupt):
        made("2", killed=True)
    assert Backup.objects.get(path__endswith="2.dump").verified_at is None
    assert [path.name[13] for path in made("3").removed] == ["2"]
    assert [path.name[13] for path in sorted(tmp_path.glob("*.dump"))] == ["1", "3"]


def test_the_schedule_asks_for_one_when_the_last_is_old(db, made, settings, workspace):
    now = clock.now()
    settings.BACKUP_HOURS = 24
    assert not making.is_due(now)
    assert making.is_due(now + timedelta(hours=25))
    with pytest.raises(BackupError):
        made("1", findings=1)
    assert not making.is_due(clock.now() + timedelta(minutes=59))
    made("2")
    assert not making.is_due(clock.now() + timedelta(hours=23))
    assert making.is_due(clock.now() + timedelta(hours=25))
    settings.BACKUP_HOURS = 0
    assert not making.is_due(clock.now() + timedelta(days=400))


def test_metrics_tell_its_age(client, db, made):
    assert b"backup" not in client.get("/metrics").content
    made("1")
    Backup.objects.update(started_at=clock.now() - timedelta(hours=2))
    text = client.get("/metrics").content.decode()
    values = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    assert 7200 <= int(values["remembrancer_backup_verified_age_seconds"]) < 7260
