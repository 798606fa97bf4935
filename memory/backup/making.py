"""Making a backup: dumped, tried, counted in, and older ones let go. Outside any scope."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Min, QuerySet

from config.lib import clock
from config.lib.text import visible
from contacts.models import Workspace
from memory.backup.dump import Dump, dump, folder_for_backups, names
from memory.backup.programs import BackupError, backup_login
from memory.backup.trial import Outcome, try_out
from memory.models import Backup

# Rows about backups that are kept; each is a few hundred bytes.
KEPT_ROWS = 1000
# After one that failed.
AGAIN = timedelta(hours=1)
NOT_TRIED = "it was not tried to the end"


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was tried and found whole; `removed` are the files rotation took away."""

    dump: Dump
    outcome: Outcome
    removed: list[Path]


def make_backup(*, to: Path | None = None, keep: int | None = None) -> Made:
    """A verified backup in `to`, of which the newest `keep` verified ones stay (0: all).

    Raises BackupError, one line. A backup in which verification finds something is kept, not
    counted as verified, and no older one is removed for it.
    """
    folder = (to or settings.BACKUP_DIR).expanduser().absolute()
    keep = settings.BACKUP_KEEP if keep is None else keep
    started = clock.now()
    done: Dump | None = None
    row: Backup | None = None
    try:
        with folder_for_backups(folder):
            done = dump(backup_login(), folder)
            # Whoever is killed in the trial leaves a file that nobody takes for a verified one.
            row = _record(row, started, done, error=NOT_TRIED)
            outcome = try_out(done.path)
            if outcome.findings:
                raise BackupError(
                    f"{done.path}: verification found {outcome.findings:,} wrong in it, first "
                    f"{visible(outcome.first)}; run `manage.py verify` on the database itself"
                )
            removed = _rotate(folder, done.path, keep)
    except BackupError as error:
        removed = [] if done is None else _remove_unverified(folder, done.path)
        _record(row, started, done, error=error.detail, removed=removed)
        raise
    _record(row, started, done, removed=removed)
    return Made(done, outcome, removed)


def _rotate(folder: Path, newest: Path, keep: int) -> list[Path]:
    """Removes older backups beyond `keep`, and those that were found broken: there is a whole one
    after them."""
    if keep == 0:
        return []
    broken = _unverified(folder, newest)
    whole = [path for path in names(folder) if path != newest and path not in broken]
    return _remove([*whole[: max(0, len(whole) + 1 - keep)], *broken])


def _remove_unverified(folder: Path, newest: Path) -> list[Path]:
    """Those before one that could not be verified either: attempts every hour would fill the disk
    on which there was, perhaps, no room for the trial."""
    return _remove(_unverified(folder, newest))


def _unverified(folder: Path, newest: Path) -> list[Path]:
    older = [path for path in names(folder) if path != newest]
    known = Backup.objects.filter(path__in=[str(path) for path in older], verified_at=None)
    broken = set(known.values_list("path", flat=True))
    return [path for path in older if str(path) in broken]


def _remove(paths: list[Path]) -> list[Path]:
    for path in paths:
        path.unlink(missing_ok=True)
    return sorted(paths)


def _record(
    row: Backup | None,
    started: datetime,
    done: Dump | None,
    *,
    error: str = "",
    removed: list[Path] | None = None,
) -> Backup:
    row = row or Backup()
    row.path = str(done.path)[:2000] if done else ""
    row.bytes = done.bytes if done else 0
    row.sha256 = done.sha256 if done else ""
    row.kept = done is not None
    row.error = error[:20_000]
    row.started_at = done.at if done else started
    row.ended_at = clock.now()
    row.verified_at = None if error else clock.now()
    row.save()
    if removed:
        Backup.objects.filter(path__in=[str(path) for path in removed]).update(kept=False)
    old = Backup.objects.order_by("-started_at").values("pk")[KEPT_ROWS:]
    Backup.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
    return row


def last_verified() -> QuerySet[Backup]:
    """The newest backup that was tried and found whole, or none. Index backup_list."""
    return Backup.objects.filter(verified_at__isnull=False).order_by("-started_at")[:1]


def is_due(now: datetime) -> bool:
    """Whether the schedule asks for a backup: the last verified one, or else the installation, is
    older than its hours, and no attempt was made within the last one."""
    if not settings.BACKUP_HOURS:
        return False
    last = Backup.objects.order_by("-started_at").first()
    if last is not None and last.verified_at is None and last.ended_at > now - AGAIN:
        return False
    whole = last_verified().first()
    since = (
        whole.started_at
        if whole is not None
        else Workspace.objects.aggregate(first=Min("created_at"))["first"]
    )
    return since is not None and since <= now - timedelta(hours=settings.BACKUP_HOURS)
