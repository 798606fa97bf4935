"""Hybrid search finds what is near by meaning in the statement that ranks it."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from memory.migrations.sql.search_near import STATEMENTS


class Migration(NarrowMigration):
    dependencies = [("memory", "0030_search_texts")]

    operations = [migrations.RunSQL(forwards, backwards) for forwards, backwards in STATEMENTS]
