"""Views and functions for people who ask about sessions in SQL."""

from django.db import migrations

from config.lib.db.migration import NarrowMigration
from config.lib.db.sql_objects import SqlFunction, SqlView
from sessions.migrations.sql.session_views import (
    ACTIVE,
    COUNT_BY_AGENT,
    GET_LAST,
    GET_RECENT,
    RECENT,
)


class Migration(NarrowMigration):
    dependencies = [("agent_sessions", "0004_work_rows")]

    operations = [
        SqlView("v_recent_sessions", RECENT),
        SqlView("v_active_sessions", ACTIVE),
        SqlFunction("get_recent_sessions", "text, integer, integer", GET_RECENT),
        SqlFunction("get_last_session", "text", GET_LAST),
        SqlFunction("count_sessions_by_agent", "text, integer", COUNT_BY_AGENT),
    ]
