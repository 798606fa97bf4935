"""Hybrid search does not look for common words where rarer ones have found enough."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from memory.migrations.sql.search_enough import STATEMENTS


class Migration(NarrowMigration):
    dependencies = [("memory", "0028_expiry")]

    operations = [migrations.RunSQL(forwards, backwards) for forwards, backwards in STATEMENTS]
