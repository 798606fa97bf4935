"""SQL of migration 0005: sessions for people who work in SQL. Frozen with it; a change is a new one.

All of it reads as whoever asks, so row-level security shows the rows of the workspace that
`app.workspace` names, and none without it. Joins compare the workspace too.
"""

COLUMNS = """
    s.workspace_id, s.id, a.name AS agent, s.project_id, p.title AS project_title, s.name, s.role,
    s.mode, s.current_state, s.status_text, s.conversation_id, s.started_at, s.last_seen_at,
    s.ended_at, s.end_reason, s.outcome, s.summary, s.context_used_percent,
    round(extract(epoch FROM coalesce(s.ended_at, now()) - s.started_at) / 60, 1)
        AS duration_minutes,
    s.event_count, s.message_count
"""
TABLES = """
    agent_sessions_session s
    JOIN contacts_agent a ON a.workspace_id = s.workspace_id AND a.id = s.agent_id
    LEFT JOIN agent_sessions_project p
           ON p.workspace_id = s.workspace_id AND p.id = s.project_id
"""

# Index session_list.
RECENT = f"""
    SELECT {COLUMNS} FROM {TABLES}
     WHERE s.started_at >= now() - interval '30 days'
     ORDER BY s.started_at DESC, s.id DESC
"""

# Index session_active.
ACTIVE = f"""
    SELECT {COLUMNS} FROM {TABLES}
     WHERE s.ended_at IS NULL
     ORDER BY s.last_seen_at DESC, s.id DESC
"""

# Parameters are named after their function where a column has the same name.

# Index session_agent.
GET_RECENT = """
CREATE FUNCTION get_recent_sessions(
    agent text, days integer DEFAULT 7, max_results integer DEFAULT 20)
RETURNS TABLE (
    id uuid, project_id uuid, project_title text, name text, started_at timestamptz,
    ended_at timestamptz, summary text, duration_minutes numeric, event_count integer,
    message_count integer)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = public, pg_temp
AS $body$
    SELECT s.id, s.project_id, p.title, s.name, s.started_at, s.ended_at, s.summary,
           round(extract(epoch FROM coalesce(s.ended_at, now()) - s.started_at) / 60, 1),
           s.event_count, s.message_count
      FROM contacts_agent a
      JOIN agent_sessions_session s ON s.workspace_id = a.workspace_id AND s.agent_id = a.id
      LEFT JOIN agent_sessions_project p
             ON p.workspace_id = s.workspace_id AND p.id = s.project_id
     WHERE a.name = get_recent_sessions.agent
       AND s.started_at >= now() - make_interval(days => get_recent_sessions.days)
     ORDER BY s.started_at DESC, s.id DESC
     LIMIT get_recent_sessions.max_results
$body$
"""

# Index session_agent.
GET_LAST = """
CREATE FUNCTION get_last_session(agent text)
RETURNS TABLE (
    id uuid, project_id uuid, project_title text, name text, started_at timestamptz,
    ended_at timestamptz, summary text, summary_data jsonb, context jsonb, metadata jsonb,
    event_count integer, message_count integer)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = public, pg_temp
AS $body$
    SELECT s.id, s.project_id, p.title, s.name, s.started_at, s.ended_at, s.summary,
           s.summary_data, s.context, s.metadata, s.event_count, s.message_count
      FROM contacts_agent a
      JOIN agent_sessions_session s ON s.workspace_id = a.workspace_id AND s.agent_id = a.id
      LEFT JOIN agent_sessions_project p
             ON p.workspace_id = s.workspace_id AND p.id = s.project_id
     WHERE a.name = get_last_session.agent
     ORDER BY s.started_at DESC, s.id DESC
     LIMIT 1
$body$
"""

# Index session_agent.
COUNT_BY_AGENT = """
CREATE FUNCTION count_sessions_by_agent(agent text, days integer DEFAULT 30)
RETURNS bigint
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = public, pg_temp
AS $body$
    SELECT count(*)
      FROM contacts_agent a
      JOIN agent_sessions_session s ON s.workspace_id = a.workspace_id AND s.agent_id = a.id
     WHERE a.name = count_sessions_by_agent.agent
       AND s.started_at >= now() - make_interval(days => count_sessions_by_agent.days)
$body$
"""
