"""Archives from people: nothing is written outside, nothing is followed, bombs are not unpacked."""

import io
import stat
import tarfile
import zipfile

import pytest

from memory.importers import unpack as module
from memory.importers.problems import SourceError
from memory.importers.unpack import is_archive, unpack


def tar(path, *entries, mode="w:gz"):
    """`entries` are (name, content) or TarInfos."""
    with tarfile.open(path, mode) as archive:
        for one in entries:
            if isinstance(one, tarfile.TarInfo):
                archive.addfile(one)
                continue
            info = tarfile.TarInfo(one[0])
            info.size = len(one[1])
            archive.addfile(info, io.BytesIO(one[1]))
    return path


def zipped(path, *entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def special(kind, name="a/special", target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def take(path, tmp_path, most=1_000_000):
    return unpack(path, tmp_path / "out", most, lambda: None)


MAKERS = {"tar": tar, "zip": zipped}


@pytest.mark.parametrize("kind", MAKERS)
def test_files_come_out_private(tmp_path, kind):
    path = MAKERS[kind](tmp_path / "archive", ("a/x/b.txt", b"one"), ("c.txt", b"two"))
    assert is_archive(path)
    assert take(path, tmp_path) == (6, 0)
    held = tmp_path / "out" / "a" / "x" / "b.txt"
    assert held.read_bytes() == b"one"
    assert stat.S_IMODE(held.stat().st_mode) == 0o600
    for folder in (held.parent, held.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "a\\..\\..\\evil", "~root/evil"]
)
def test_a_path_that_leads_out_is_refused(tmp_path, kind, name):
    path = MAKERS[kind](tmp_path / "archive", ("a.txt", b"one"), (name, b"evil"))
    with pytest.raises(SourceError, match="leads out of it"):
        take(path, tmp_path)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_stay_in_it(tmp_path, kind):
    path = tar(tmp_path / "archive", special(kind), ("a/plain", b"one"))
    assert take(path, tmp_path) == (3, 1)
    assert [one.name for one in (tmp_path / "out/a").iterdir()] == ["plain"]


def test_nothing_is_written_through_a_link(tmp_path):
    inside = special(tarfile.SYMTYPE, "a", str(tmp_path))
    path = tar(tmp_path / "archive", inside, ("a/evil", b"evil"))
    assert take(path, tmp_path) == (4, 1)
    assert (tmp_path / "out/a/evil").read_bytes() == b"evil"
    assert not (tmp_path / "evil").exists()


def test_links_of_a_zip_stay_in_it(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "archive", (link, "/etc/passwd"), ("b", "two"))
    assert take(path, tmp_path) == (3, 1)
    assert not (tmp_path / "out/link").exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_bombs_are_not_unpacked(tmp_path, kind, monkeypatch):
    path = MAKERS[kind](tmp_path / "archive", ("big", bytes(5_000_000)))
    assert path.stat().st_size < 50_000
    with pytest.raises(SourceError, match="unpacks to more than 1 MiB"):
        take(path, tmp_path)
    many = MAKERS[kind](tmp_path / "many", *((f"f{n}", b"") for n in range(30)))
    monkeypatch.setattr(module, "MAX_ENTRIES", 20)
    with pytest.raises(SourceError, match="more than 20 files"):
        unpack(many, tmp_path / "other", 1000, lambda: None)


def test_a_table_of_contents_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    path = zipped(tmp_path / "archive", *((f"f{n}", b"") for n in range(30)))
    monkeypatch.setattr(module, "MAX_CONTENTS", 100)
    with pytest.raises(SourceError, match="holds more than"):
        take(path, tmp_path)


def test_folders_may_not_be_too_deep(tmp_path):
    path = tar(tmp_path / "archive", ("d/" * 50 + "f", b""))
    with pytest.raises(SourceError, match="40 deep"):
        take(path, tmp_path)


@pytest.mark.parametrize("kind", MAKERS)
def test_one_that_is_cut_off_is_said_to_be_damaged(tmp_path, kind):
    whole = MAKERS[kind](tmp_path / "whole", ("a", bytes(range(256)) * 200)).read_bytes()
    path = tmp_path / "archive"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="is a damaged archive"):
        take(path, tmp_path)


def test_one_with_a_password_is_refused(tmp_path):
    path = zipped(tmp_path / "archive", ("a", b"one"))
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(SourceError, match="locked by a password"):
        take(path, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\x00" + bytes(600), b"{}", b"\x1f\x8b\x08"]
)
def test_other_files_are_no_archives(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not is_archive(path)
