"""The database's clock, for what several machines must agree on. Not for timestamps of rows:
those are config.lib.clock's, which is the web server's own."""

from datetime import datetime

from django.db import connection

from config.lib import clock


def database_now() -> datetime:
    """The database's time now, whenever the transaction began."""
    told = clock.told()
    if told is not None:
        return told.moment
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
