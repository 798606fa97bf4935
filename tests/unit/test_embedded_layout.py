"""Secrets, paths and URLs of the embedded server: what is decided without starting anything."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import environ
import psycopg.conninfo
import pytest

from config.embedded.layout import (
    EmbeddedError,
    Paths,
    connection_urls,
    ensure_secrets,
    ensure_socket_dir,
    load_secrets,
    socket_url,
)

MY_UID, MY_GID = os.geteuid(), os.getegid()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- Secrets ------------------------------------------------------------------------------------


def test_there_are_no_secrets_before_the_first_start(tmp_path: Path) -> None:
    assert load_secrets(tmp_path / "var") is None


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    made = ensure_secrets(data_dir)
    assert ensure_secrets(data_dir) == made == load_secrets(data_dir)
    assert mode(data_dir) == 0o700
    assert mode(Paths(data_dir).secrets) == 0o600
    assert len(made.secret_key) >= 50
    assert len({made.superuser_password, made.owner_password, made.runtime_password}) == 3
    assert [path.name for path in data_dir.iterdir()] == ["secrets.json"]


def test_many_starts_at_once_end_with_the_same_secrets(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ensure_secrets(tmp_path / "var"), range(16)))
    assert len(set(made)) == 1


def test_a_damaged_secrets_file_is_named(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    path = Paths(tmp_path).secrets
    path.write_text("{")
    with pytest.raises(EmbeddedError, match=r"secrets\.json: not valid JSON"):
        load_secrets(tmp_path)
    path.write_text(json.dumps({"secret_key": "x"}))
    with pytest.raises(EmbeddedError, match="lacks owner_password, runtime_password"):
        load_secrets(tmp_path)


def test_secrets_are_not_made_anew_beside_a_database(tmp_path: Path) -> None:
    Paths(tmp_path).cluster.mkdir()
    with pytest.raises(EmbeddedError, match="missing although a database is there"):
        ensure_secrets(tmp_path)


def test_a_data_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    data_dir.mkdir()
    data_dir.chmod(0o777)
    with pytest.raises(EmbeddedError, match="chmod go-w"):
        ensure_secrets(data_dir)


def test_a_file_in_the_place_of_the_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(EmbeddedError, match="is not a directory"):
        ensure_secrets(tmp_path / "var")


# --- URLs ---------------------------------------------------------------------------------------


def test_urls_exist_before_the_first_start(tmp_path: Path) -> None:
    runtime, owner = connection_urls(tmp_path / "var")
    assert "app_rw:not-made-yet@" in runtime
    assert "app_owner:not-made-yet@" in owner
    assert not (tmp_path / "var").exists()


def test_libpq_and_the_settings_read_the_same_from_a_url() -> None:
    url = socket_url(Path("/tmp/Some dir&x"), user="app_rw", password="p@:/%?#ü", database="d")
    by_libpq = psycopg.conninfo.conninfo_to_dict(url)
    assert by_libpq["host"] == "/tmp/Some dir&x"
    assert by_libpq["password"] == "p@:/%?#ü"
    assert by_libpq["dbname"] == "d"
    by_django = environ.Env.db_url_config(url)
    assert (by_django["NAME"], by_django["USER"], by_django["PASSWORD"]) == (
        "d",
        "app_rw",
        "p@:/%?#ü",
    )
    assert by_django["HOST"] == ""
    assert by_django["OPTIONS"] == {
        "host": "/tmp/Some dir&x",
        "port": 5432,
        "require_auth": "scram-sha-256",
    }


def test_the_socket_directory_is_short_and_follows_the_real_path(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 200) / "var"
    long.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(long)
    assert Paths(link).sockets == Paths(long).sockets
    assert Paths(long).sockets != Paths(tmp_path).sockets
    # macOS allows 103 bytes for a socket's path.
    assert len(str(Paths(long).sockets / ".s.PGSQL.5432")) < 104


# --- The socket directory -----------------------------------------------------------------------


def test_a_socket_directory_is_private(tmp_path: Path) -> None:
    path = tmp_path / "sockets"
    ensure_socket_dir(path, MY_UID, MY_GID)
    ensure_socket_dir(path, MY_UID, MY_GID)
    assert mode(path) == 0o700


def test_a_socket_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sockets"
    path.mkdir()
    path.chmod(0o755)
    with pytest.raises(EmbeddedError, match="someone else may have made it"):
        ensure_socket_dir(path, MY_UID, MY_GID)


def test_a_link_in_the_place_of_the_socket_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "sockets").symlink_to(tmp_path / "mine")
    with pytest.raises(EmbeddedError, match="someone else may have made it"):
        ensure_socket_dir(tmp_path / "sockets", MY_UID, MY_GID)


@pytest.mark.skipif(MY_UID != 0, reason="only root can give a directory away")
def test_a_socket_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sockets"
    path.mkdir(mode=0o700)
    os.chown(path, 12345, 12345)
    with pytest.raises(EmbeddedError, match="someone else may have made it"):
        ensure_socket_dir(path, 23456, 23456)
