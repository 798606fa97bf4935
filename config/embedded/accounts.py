"""Which operating-system account PostgreSQL runs as, and whether it can get where it must.

PostgreSQL refuses to run as root. An ordinary user runs it as themselves; root hands it to an
account without rights. Not for database roles (config/lib/db/roles.py).
"""

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.embedded.layout import EmbeddedError, Paths

ACCOUNT = "remembrancer"
# Where no account can be made: one that exists everywhere and owns nothing.
FALLBACK_ACCOUNT = "nobody"
PROGRAMS = "The PostgreSQL program"


@dataclass(frozen=True)
class Account:
    """The user that the server's processes run as."""

    uid: int
    gid: int
    name: str

    @property
    def is_self(self) -> bool:
        return self.uid == os.geteuid()

    def popen_options(self) -> dict[str, Any]:
        """What subprocess needs to run a program as this account, with no group of ours."""
        if self.is_self:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if not self.is_self:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def server_account(data_dir: Path) -> Account:
    """The account for this data directory; the one that owns the cluster, if there is one."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), _name(os.geteuid()))
    cluster = Paths(data_dir).cluster
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return Account(owner.st_uid, owner.st_gid, _name(owner.st_uid))
    return _find(ACCOUNT) or _create(ACCOUNT) or _required(FALLBACK_ACCOUNT)


def _find(name: str) -> Account | None:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(found.pw_uid, found.pw_gid, name)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # numbers without a name are usual in containers
        return str(uid)


def _required(name: str) -> Account:
    found = _find(name)
    if found is None:
        raise EmbeddedError(
            "PostgreSQL does not run as root and there is no account to give it to; "
            f"make a system user `{ACCOUNT}`, or run as an ordinary user"
        )
    return found


def _create(name: str) -> Account | None:
    """A system account without home or shell; None where useradd is missing or refuses."""
    useradd = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is None:
        return None
    command = [
        useradd,
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
    ]
    subprocess.run(  # noqa: S603  (a found useradd with constant arguments)
        [*command, "--shell", "/usr/sbin/nologin", name], check=False, capture_output=True
    )
    return _find(name)


def admit(account: Account, data_dir: Path) -> None:
    """Lets the account pass through the data directory to the cluster, and no one else.

    The data directory stays root's (the secrets are in it); its group becomes the account's,
    with the right to pass and no right to list.
    """
    if account.is_self or data_dir.stat().st_uid == account.uid:
        return
    os.chown(data_dir, 0, account.gid)
    data_dir.chmod(0o710)


def require_reachable(account: Account, path: Path, what: str) -> None:
    """Refuses when the account cannot pass through the folders above `path`.

    Folders such as /root are closed on purpose: they are not opened here.
    """
    if account.is_self:
        return
    real = Path(os.path.realpath(path))
    for folder in reversed([real, *real.parents]):
        if folder.is_dir() and not _may_pass(account, folder):
            raise EmbeddedError(
                f"{what} is below {folder}, which PostgreSQL's account `{account.name}` may "
                f"not enter (PostgreSQL does not run as root); {_advice(what)}"
            )


def _advice(what: str) -> str:
    if what == PROGRAMS:
        remedy = "move this installation to a folder such as /opt/remembrancer"
    else:
        remedy = "set REMEMBRANCER_DATA_DIR to a folder such as /var/lib/remembrancer"
    return f"{remedy}, or run it as an ordinary user"


def _may_pass(account: Account, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    # Supplementary groups are dropped when the server starts, so only the primary one counts.
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
