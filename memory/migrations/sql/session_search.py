"""SQL of migrations 0006 and 0010: sessions by meaning. Frozen with them; a change is a new one.

Compares the query with every session summary of the workspace, exactly: the vector index is shared
by all kinds and workspaces, and would give other rows first. Index passage_of_summary_unique, about
1.3 us for each summary. Vectors of a model that is not the active one are left out.
"""

SEARCH_SESSIONS = """
CREATE FUNCTION search_sessions_semantic(
    vector halfvec, max_results integer DEFAULT 10, threshold double precision DEFAULT 0.7)
RETURNS TABLE (
    id uuid, agent text, project_id uuid, project_title text, name text, started_at timestamptz,
    ended_at timestamptz, summary text, similarity double precision)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = public, pg_temp
AS $body$
    WITH space AS MATERIALIZED (
        SELECT e.workspace_id, e.id FROM memory_embeddingspace e
         WHERE e.state = 'active'
           AND e.dimensions = vector_dims(search_sessions_semantic.vector)),
    near AS (
        SELECT p.workspace_id, p.of_summary_id,
               max(1 - (p.embedding <=> search_sessions_semantic.vector)) AS similarity
          FROM space e
          JOIN memory_passage p ON p.workspace_id = e.workspace_id AND p.space_id = e.id
         WHERE p.of_summary_id IS NOT NULL AND p.embedding IS NOT NULL
         GROUP BY p.workspace_id, p.of_summary_id)
    SELECT s.id, a.name, s.project_id, j.title, s.name, s.started_at, s.ended_at, s.summary,
           n.similarity
      FROM near n
      JOIN agent_sessions_session s ON s.workspace_id = n.workspace_id AND s.id = n.of_summary_id
      JOIN contacts_agent a ON a.workspace_id = s.workspace_id AND a.id = s.agent_id
      LEFT JOIN agent_sessions_project j
             ON j.workspace_id = s.workspace_id AND j.id = s.project_id
     WHERE n.similarity >= search_sessions_semantic.threshold
     ORDER BY n.similarity DESC, s.id DESC
     LIMIT search_sessions_semantic.max_results
$body$
"""

# The same, of whichever slot the active space has (0010).
SEARCH_SESSIONS_IN_SLOTS = """
CREATE FUNCTION search_sessions_semantic(
    vector halfvec, max_results integer DEFAULT 10, threshold double precision DEFAULT 0.7)
RETURNS TABLE (
    id uuid, agent text, project_id uuid, project_title text, name text, started_at timestamptz,
    ended_at timestamptz, summary text, similarity double precision)
LANGUAGE sql STABLE SECURITY INVOKER
SET search_path = public, pg_temp
AS $body$
    WITH space AS MATERIALIZED (
        SELECT e.workspace_id, e.id, e.slot FROM memory_embeddingspace e
         WHERE e.state = 'active'
           AND e.dimensions = vector_dims(search_sessions_semantic.vector)),
    near AS (
        SELECT p.workspace_id, p.of_summary_id,
               max(1 - (CASE e.slot WHEN 1 THEN p.embedding ELSE p.second_embedding END
                        <=> search_sessions_semantic.vector)) AS similarity
          FROM space e
          JOIN memory_passage p ON p.workspace_id = e.workspace_id
               AND CASE e.slot WHEN 1 THEN p.space_id ELSE p.second_space_id END = e.id
         WHERE p.of_summary_id IS NOT NULL
           AND CASE e.slot WHEN 1 THEN p.embedding ELSE p.second_embedding END IS NOT NULL
         GROUP BY p.workspace_id, p.of_summary_id)
    SELECT s.id, a.name, s.project_id, j.title, s.name, s.started_at, s.ended_at, s.summary,
           n.similarity
      FROM near n
      JOIN agent_sessions_session s ON s.workspace_id = n.workspace_id AND s.id = n.of_summary_id
      JOIN contacts_agent a ON a.workspace_id = s.workspace_id AND a.id = s.agent_id
      LEFT JOIN agent_sessions_project j
             ON j.workspace_id = s.workspace_id AND j.id = s.project_id
     WHERE n.similarity >= search_sessions_semantic.threshold
     ORDER BY n.similarity DESC, s.id DESC
     LIMIT search_sessions_semantic.max_results
$body$
"""
