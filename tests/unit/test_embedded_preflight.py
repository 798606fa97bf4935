"""What is looked at before the embedded server starts: lock, port, leftovers, account, memory."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config.embedded import accounts, tuning
from config.embedded.accounts import Account
from config.embedded.layout import EmbeddedError, Paths
from config.embedded.leftovers import clear_leftovers, running_in
from config.embedded.preflight import DataDirLock, check_port
from config.embedded.server import MAJOR, require_our_major
from tests.unit.ports import listening

# --- Before anything is started -----------------------------------------------------------------


def test_a_data_directory_has_one_supervisor(tmp_path: Path) -> None:
    first = DataDirLock(tmp_path)
    with pytest.raises(EmbeddedError, match=rf"another Remembrancer \(process {os.getpid()}\)"):
        DataDirLock(tmp_path)
    first.release()
    DataDirLock(tmp_path).release()


def test_a_port_in_use_is_named() -> None:
    with listening() as port, pytest.raises(EmbeddedError, match=rf"^PORT: {port} on 127.0.0.1"):
        check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_a_host_that_is_no_address_is_named() -> None:
    with pytest.raises(EmbeddedError, match=r"^HOST: 'no\.such\.host\.invalid'"):
        check_port("no.such.host.invalid", 8000)
    with pytest.raises(EmbeddedError, match=r"^HOST: 203\.0\.113\.1 "):
        check_port("203.0.113.1", 8000)


def test_a_cluster_of_another_major_is_refused(tmp_path: Path) -> None:
    require_our_major(tmp_path)
    cluster = Paths(tmp_path).cluster
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        EmbeddedError,
        match=f"PostgreSQL 16, and this release runs PostgreSQL {MAJOR}, which cannot read it;",
    ):
        require_our_major(tmp_path)
    (cluster / "PG_VERSION").write_text(f"{MAJOR}\n")
    require_our_major(tmp_path)


def test_a_pid_file_whose_number_another_program_has_is_removed(tmp_path: Path) -> None:
    pid_file = tmp_path / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{tmp_path}\n")
    clear_leftovers(tmp_path)
    assert not pid_file.exists()


def test_a_shell_standing_in_the_cluster_is_no_server(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=tmp_path, stdin=subprocess.PIPE
    ) as bystander:
        assert running_in(tmp_path) == []
        assert bystander.stdin is not None
        bystander.stdin.write(b"\n")


# --- The account --------------------------------------------------------------------------------


def test_an_ordinary_user_runs_the_server_as_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    account = accounts.server_account(Path("/nonexistent"))
    assert account.uid == 1234
    assert account.popen_options() == {}


def test_a_folder_the_account_cannot_enter_is_named_and_left_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "var").mkdir(parents=True)
    closed.chmod(0o700)
    stranger = Account(uid=23456, gid=23456, name="stranger")
    # pytest's own folders are closed too, so the first closed one is named, whichever it is.
    with pytest.raises(EmbeddedError, match=r"`stranger` may not enter .* REMEMBRANCER_DATA_DIR"):
        accounts.require_reachable(stranger, closed / "var", "The data directory")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


# --- Settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memory_gb", "shared_buffers"),
    [(0.1, "64MB"), (1, "256MB"), (2, "512MB"), (4, "512MB"), (16, "2048MB"), (64, "4096MB")],
)
def test_memory_stays_modest(memory_gb: float, shared_buffers: str) -> None:
    values = tuning.settings(60, memory=int(memory_gb * 1024**3))
    assert values["shared_buffers"] == shared_buffers
    assert values["max_connections"] == "60"


def test_nothing_that_loses_writes_is_set() -> None:
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & tuning.settings(60).keys()


def test_connections_are_enough_for_every_pool() -> None:
    pooled = tuning.connections_needed(web_workers=2, pool=8, threads=16, jobs=2)
    unpooled = tuning.connections_needed(web_workers=2, pool=0, threads=16, jobs=2)
    assert pooled >= 2 * 8 + 4 + 2 + 20
    assert unpooled - pooled == 2 * (16 - 8)
