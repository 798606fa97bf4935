"""Where the embedded database keeps its things, its passwords, and the URLs that follow.

Imported by the settings, so it is light: no Django, no database driver. Not for starting or
stopping anything (server.py does that). What is decided here is decided from the data directory
alone, so that `manage.py createkey` in a second terminal finds the server that `serve` runs.
"""

import contextlib
import hashlib
import json
import os
import secrets as random
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import quote, urlencode

DATABASE = "remembrancer"
SUPERUSER = "postgres"
OWNER = "app_owner"
RUNTIME = "app_rw"
SEARCH = "app_search"
PORT = 5432  # only part of the socket's file name: the server listens on no network address

DEFAULT_DATA_DIR = Path(__file__).resolve().parent.parent.parent / "var"
# Unix socket paths end at 103 bytes on macOS, and TMPDIR there is long and differs per login.
SOCKET_ROOT = Path("/tmp")  # noqa: S108  (the directory below it is 0700 and its owner checked)


class EmbeddedError(Exception):
    """The embedded server cannot be used as things are; the message says what to do."""


@dataclass(frozen=True)
class Secrets:
    """What the embedded installation generated for itself, once."""

    secret_key: str
    superuser_password: str
    owner_password: str
    runtime_password: str


@dataclass(frozen=True)
class Paths:
    """Every path below (and the one beside) a data directory."""

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def lock(self) -> Path:
        return self.root / "serve.lock"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.root / "postgres"

    @property
    def log(self) -> Path:
        """Outside the cluster, so that a base backup does not carry the log."""
        return self.root / "log"

    @property
    def sockets(self) -> Path:
        """Outside the data directory: short, and never copied by a base backup."""
        real = os.path.realpath(self.root)
        return SOCKET_ROOT / f"remembrancer-{hashlib.sha256(real.encode()).hexdigest()[:16]}"


def data_dir_from_environment() -> Path:
    """REMEMBRANCER_DATA_DIR as config.settings.env reads it, for use before the settings load."""
    given = os.environ.get("REMEMBRANCER_DATA_DIR", "").strip()
    return Path(given).expanduser().absolute() if given else DEFAULT_DATA_DIR


def load_secrets(data_dir: Path) -> Secrets | None:
    """The stored secrets; None before the first start."""
    path = Paths(data_dir).secrets
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except PermissionError:
        raise EmbeddedError(
            f"{path}: not readable by this user; run as the user who runs `serve`"
        ) from None
    except ValueError as error:
        raise EmbeddedError(f"{path}: not valid JSON ({error}); restore it from a backup") from None
    names = {field.name for field in fields(Secrets)}
    missing = names - stored.keys()
    if missing:
        raise EmbeddedError(f"{path}: lacks {', '.join(sorted(missing))}; restore it from a backup")
    return Secrets(**{name: stored[name] for name in names})


def ensure_secrets(data_dir: Path) -> Secrets:
    """The stored secrets, made on the first call. Two processes at once end with the same ones."""
    make_data_dir(data_dir)
    stored = load_secrets(data_dir)
    if stored is not None:
        return stored
    path = Paths(data_dir).secrets
    if Paths(data_dir).cluster.exists():
        raise EmbeddedError(
            f"{path}: missing although a database is there, and its passwords were in it; "
            "restore it from a backup"
        )
    made = Secrets(
        secret_key=random.token_urlsafe(50),
        superuser_password=random.token_urlsafe(32),
        owner_password=random.token_urlsafe(32),
        runtime_password=random.token_urlsafe(32),
    )
    _write_once(path, json.dumps(asdict(made), indent=2) + "\n")
    # Whoever came first wrote the file; what counts is what it says.
    return load_secrets(data_dir) or made


def make_data_dir(data_dir: Path) -> None:
    """Creates the data directory, 0700; one that exists keeps its mode but must not be open."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise EmbeddedError(
            f"{data_dir}: is not a directory; choose another data directory"
        ) from None
    except OSError as error:
        raise EmbeddedError(
            f"{data_dir}: cannot be made ({error.strerror}); set REMEMBRANCER_DATA_DIR to a "
            "folder this user may write to"
        ) from None
    mode = stat.S_IMODE(data_dir.stat().st_mode)
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise EmbeddedError(
            f"{data_dir}: not writable by this user; set REMEMBRANCER_DATA_DIR to a folder that is"
        )
    if mode & 0o022:
        raise EmbeddedError(f"{data_dir}: others may write to it; run `chmod go-w {data_dir}`")


def _write_once(path: Path, text: str) -> None:
    """Writes a 0600 file durably, unless it is there already: link() refuses to overwrite."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{random.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes a new name in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def socket_url(sockets: Path, *, user: str, password: str, database: str = DATABASE) -> str:
    """A URL that libpq and django-environ both read.

    The directory stands in the query: django-environ neither decodes nor keeps the case of a
    percent-encoded host. `require_auth` keeps a stranger's server, should one ever sit at the
    socket's path, from asking for the password in clear; `port` keeps PGPORT out.
    """
    query = urlencode(
        {"host": str(sockets), "port": PORT, "require_auth": "scram-sha-256"},
        safe="/",
        quote_via=quote,
    )
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@/{database}?{query}"


def connection_urls(data_dir: Path) -> tuple[str, str]:
    """The runtime role's and the owner's URL; with placeholder passwords before the first start."""
    stored = load_secrets(data_dir)
    sockets = Paths(data_dir).sockets
    return (
        socket_url(
            sockets, user=RUNTIME, password=stored.runtime_password if stored else "not-made-yet"
        ),
        socket_url(
            sockets, user=OWNER, password=stored.owner_password if stored else "not-made-yet"
        ),
    )


def ensure_socket_dir(path: Path, uid: int, gid: int) -> None:
    """Makes the socket directory, 0700 and owned by the server's account, or refuses.

    Anyone may create names in /tmp: what is there already is used only when it is a real
    directory that belongs to the account and is closed to everyone else.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    found = os.lstat(path)
    if os.geteuid() == 0 and found.st_uid == 0 and stat.S_ISDIR(found.st_mode):
        # Made by root: just now, or by a start that was killed before this line.
        os.chown(path, uid, gid, follow_symlinks=False)
        found = os.lstat(path)
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != uid
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise EmbeddedError(
            f"{path}: is not a private directory of the database's account (uid {uid}), so "
            "someone else may have made it; look at it and remove it"
        )
