"""The job that makes backups on schedule. `manage.py runjobs` runs it."""

import structlog
from procrastinate.contrib.django import app

from config.lib import clock
from config.lib.room import needs_room
from memory.backup.making import is_due, make_backup
from memory.backup.programs import BackupError

log = structlog.get_logger()


# Often, so that a laptop that slept at the hour has its backup when it is awake.
@app.periodic(cron="*/10 * * * *")
@app.task(name="memory.back_up", queue="upkeep", queueing_lock="back_up", lock="back_up")
@needs_room
def back_up(timestamp: int) -> None:
    """Make a verified backup where the last one is older than REMEMBRANCER_BACKUP_HOURS."""
    if not is_due(clock.now()):
        return
    try:
        made = make_backup()
    except BackupError as error:
        log.error("backup_failed", reason=error.detail)
        return
    log.info("backup_made", path=str(made.dump.path), bytes=made.dump.bytes)
