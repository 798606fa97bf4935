"""Hybrid search finds the texts of its rows with them."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from memory.migrations.sql.search_texts import STATEMENTS


class Migration(NarrowMigration):
    dependencies = [("memory", "0029_search_enough")]

    operations = [migrations.RunSQL(forwards, backwards) for forwards, backwards in STATEMENTS]
