"""For root only: lets PostgreSQL's account reach its programs and data below closed folders.

A checkout in /root, or below a `mktemp -d`, cannot be entered by the unprivileged account that
PostgreSQL must run as, and opening those folders would open them to everyone. Instead the server
gets a mount namespace of its own, in which the two folders also appear at a short path. Nothing
changes for any other process or on disk. Where the kernel does not allow it (most containers),
the start is refused as before (accounts.py).

Also the program that does it: `python -m config.embedded.passage` as root, which becomes the
given command as the given account.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from config.embedded.accounts import Account
from config.embedded.layout import Paths
from config.embedded.lifeline import die_with_parent

PROJECT = Path(__file__).resolve().parent.parent.parent
# From <sched.h> and <sys/mount.h>, the same on every Linux.
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


@dataclass(frozen=True)
class Passage:
    """Where the account finds things, and how a command is run so that it does."""

    account: Account
    programs: Path
    data: Path
    # Empty folders of ours that the two appear at; None where the account needs no help.
    at: Path | None = None

    @property
    def seen_programs(self) -> Path:
        if self.at is None:
            return self.programs
        return self.at / "programs" / self.programs.relative_to(self._site_packages)

    @property
    def _site_packages(self) -> Path:
        """The programs' libraries lie beside the package, and are found relative to it."""
        return self.programs.parents[2]

    @property
    def seen_data(self) -> Path:
        return self.at / "data" if self.at else Path(os.path.realpath(self.data))

    def seen(self, path: Path) -> Path:
        """A path below the data directory, as the account sees it."""
        return self.seen_data / path.relative_to(self.data)

    def command(self, program: str, *arguments: str, die_with_parent: bool = False) -> list[str]:
        """One of PostgreSQL's programs, run as the account. Start it as root when `at` is set."""
        command = [str(self.seen_programs / program), *arguments]
        if self.at is None:
            return command
        return [
            *(sys.executable, "-m", __name__),
            *("--uid", str(self.account.uid), "--gid", str(self.account.gid)),
            *("--bind", str(self._site_packages), str(self.at / "programs")),
            *("--bind", str(self.data), str(self.at / "data")),
            *(("--parent", str(os.getpid())) if die_with_parent else ()),
            *("--", *command),
        ]

    def works(self) -> bool:
        """Whether the kernel lets us do this here."""
        done = subprocess.run(  # noqa: S603  (a packaged program)
            self.command("postgres", "--version"), cwd=PROJECT, capture_output=True, check=False
        )
        return done.returncode == 0


def open_passage(account: Account, programs: Path, data: Path, at: Path) -> Passage | None:
    """A passage with its two empty folders below `at`; None where it cannot be had."""
    if sys.platform != "linux" or account.is_self:
        return None
    for name in ("programs", "data"):
        (at / name).mkdir(mode=0o755, exist_ok=True)
    passage = Passage(account, programs, data, at)
    return passage if passage.works() else None


def passage_cluster(cluster: Path) -> Path:
    """What a cluster is called by a server that runs through a passage."""
    return Paths(cluster.parent).sockets / "data" / cluster.name


def close_passage(at: Path) -> None:
    """Removes the empty folders; a folder that is not empty is not ours to remove."""
    for path in (at / "programs", at / "data"):
        if path.exists():
            path.rmdir()


def _mount(source: str, target: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), None, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def main() -> None:
    """Becomes the command: same process, so that its signals and exit code are its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--bind", nargs=2, action="append", default=[])
    parser.add_argument("--parent", type=int)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        sys.exit(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    # Without this the mounts would appear for everyone else too.
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    for source, target in options.bind:
        _mount(source, target, _MS_BIND | _MS_REC)
    os.chdir("/")
    os.setgroups([])
    os.setresgid(options.gid, options.gid, options.gid)
    os.setresuid(options.uid, options.uid, options.uid)
    if options.parent is not None:
        arm = die_with_parent(signal.SIGINT, parent=options.parent)
        assert arm is not None  # Linux, see open_passage
        arm()
    os.execv(options.command[0], options.command)  # noqa: S606  (built in `command` above)


if __name__ == "__main__":
    main()
