"""Hybrid search is planned once for a connection, not for each query."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.sql_objects import SqlFunction
from memory.migrations.sql.search_plans import (
    DETAILS,
    DETAILS_ARGUMENTS,
    STANDING,
    STANDING_ARGUMENTS,
    STATEMENTS,
)


class Migration(NarrowMigration):
    dependencies = [
        ("memory", "0012_search_rows"),
        ("agent_sessions", "0007_attention_indexes"),
        ("contacts", "0005_seals"),
    ]

    operations = [
        *(migrations.RunSQL(forwards, backwards) for forwards, backwards in STATEMENTS),
        SqlFunction("search_details", DETAILS_ARGUMENTS, DETAILS),
        SqlFunction("search_standing", STANDING_ARGUMENTS, STANDING),
    ]
