"""SQL of migration 0003: the functions that look words up. Frozen with it; a change is a new one.

Both run as the search role, which sees every row of the passages and nothing else, and therefore
compare the workspace themselves, twice: as a word of the text index, so that one tenant's search
reads none of another's entries, and as a column. Without a workspace they return nothing. What
comes from the caller enters the dynamic statement only as a quoted literal (%L).
"""

from django.conf import settings

SEARCH = settings.SEARCH_ROLE
RUNTIME = settings.RUNTIME_ROLE

# The words' vectors stay in the row and uncompressed while there is room, and texts make it:
# ranking reads the former for thousands of rows, the latter are read for the few that are
# returned. Measured at 10,000 passages: 3 ms instead of 7 to rank 1,500 rows.
# New rows' words wait in a list that every search reads through, so it is kept short.
STORAGE = """
ALTER TABLE memory_passage ALTER COLUMN tsv SET STORAGE MAIN;
ALTER INDEX passage_words SET (gin_pending_list_limit = 512);
"""
DEFAULT_STORAGE = """
ALTER INDEX passage_words RESET (gin_pending_list_limit);
ALTER TABLE memory_passage ALTER COLUMN tsv SET STORAGE EXTENDED;
"""

TERM_COUNTS = """
CREATE FUNCTION search_term_counts(terms text[], most integer)
RETURNS TABLE (term text, documents integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
DECLARE
    own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
    wanted tsquery;
BEGIN
    IF own IS NULL THEN
        RETURN;
    END IF;
    FOREACH term IN ARRAY terms LOOP
        wanted := (quote_literal('w' || replace(own::text, '-', '')) || ' & '''
            || replace(replace(term, '\\', '\\\\'), '''', '''''') || '''')::tsquery;
        SELECT count(*) INTO documents FROM (
            SELECT FROM public.memory_passage p
             WHERE p.tsv @@ wanted AND p.workspace_id = own LIMIT most) counted;
        RETURN NEXT;
    END LOOP;
END
$body$
"""

WORDS = """
CREATE FUNCTION search_words(
    terms text[], weights double precision[], first_terms integer, condition text,
    average_length double precision, filters jsonb, others uuid[], scanned integer, most integer)
RETURNS TABLE (passage uuid, score double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
DECLARE
    own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
    quoted text[];
    frequencies text;
    formula text;
    scoring text;
    kept text := '';
    rare tsquery;
    every tsquery;
    n integer;
BEGIN
    IF own IS NULL OR cardinality(terms) = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg('''' || replace(replace(t, '\\', '\\\\'), '''', '''''') || '''' ORDER BY i)
      INTO quoted FROM unnest(terms) WITH ORDINALITY AS x (t, i);
    -- A single term's ts_rank with all weights 1 is H2(n) * 6 / pi^2, where H2(n) is
    -- 1 + 1/4 + ... + 1/n^2 and n its frequency in the row; pi^2 / 6 - H2(n) is about
    -- 1 / (n + 1/2). So n is what rounding gives, exactly.
    SELECT string_agg(format(
               'round(1 / (1.64493406685 - 1.64493406685 * '
               'ts_rank(''{1,1,1,1}'', p.tsv, %L::tsquery)::float8) - 0.5) AS f%s', q, i), ', '),
           string_agg(format('%L::float8 * f%s / (f%s + norm)', weights[i], i, i), ' + ')
      INTO frequencies, formula
      FROM unnest(quoted) WITH ORDINALITY AS x (q, i);
    -- OFFSET 0: a frequency stands twice in the formula and must not be computed twice.
    scoring := 'SELECT id, ' || formula || ' FROM (SELECT p.id, '
        || format('1.2 * (0.25 + 0.75 * p.token_count / %L::float8) AS norm, ', average_length)
        || frequencies || format(' FROM public.memory_passage p WHERE p.workspace_id = %L', own);
    SELECT coalesce(string_agg(' AND ' || CASE key
            WHEN 'kinds' THEN format('p.kind = ANY(%L)', listed)
            WHEN 'memory_kinds' THEN format('p.memory_kind = ANY(%L)', listed)
            WHEN 'states' THEN format('p.state = ANY(%L)', listed)
            WHEN 'trusts' THEN format('p.trust = ANY(%L)', listed)
            WHEN 'agents' THEN format('p.agent_id = ANY(%L)', listed)
            WHEN 'projects' THEN format('p.project_id = ANY(%L)', listed)
            WHEN 'sessions' THEN format('p.session_id = ANY(%L)', listed)
            WHEN 'tags' THEN format('p.tags @> %L', listed)
            WHEN 'after' THEN format('p.occurred_at >= %L', single)
            WHEN 'before' THEN format('p.occurred_at < %L', single)
            WHEN 'alive_at' THEN format('(p.expires_at IS NULL OR p.expires_at > %L)', single)
            WHEN 'known_at' THEN format('p.occurred_at <= %1$L '
                'AND (p.valid_from IS NULL OR p.valid_from <= %1$L) '
                'AND (p.valid_to IS NULL OR p.valid_to > %1$L) '
                'AND (p.superseded_at IS NULL OR p.superseded_at > %1$L)', single)
           END, ''), '')
      INTO kept
      FROM (SELECT key,
                   CASE WHEN jsonb_typeof(value) = 'array'
                        THEN ARRAY(SELECT jsonb_array_elements_text(value)) END AS listed,
                   value #>> '{}' AS single
              FROM jsonb_each(filters)) AS given;
    IF condition <> '' THEN
        kept := kept || format(' AND p.tsv @@ %L::tsquery', condition);
    END IF;

    rare := (quote_literal('w' || replace(own::text, '-', '')) || ' & ('
        || array_to_string(quoted[1:first_terms], ' | ') || ')')::tsquery;
    RETURN QUERY EXECUTE scoring || kept
        || format(' AND p.tsv @@ %L::tsquery LIMIT %s', rare, scanned)
        || format(') s ORDER BY 2 DESC, 1 DESC LIMIT %s', most);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < most AND first_terms < cardinality(terms) THEN
        -- Too few rows have a rare term: those that have only common ones are wanted as well.
        every := (quote_literal('w' || replace(own::text, '-', '')) || ' & ('
            || array_to_string(quoted, ' | ') || ')')::tsquery;
        RETURN QUERY EXECUTE scoring || kept
            || format(' AND p.tsv @@ %L::tsquery AND NOT p.tsv @@ %L::tsquery LIMIT %s',
                      every, rare, scanned)
            || format(') s ORDER BY 2 DESC, 1 DESC LIMIT %s', most - n);
    END IF;
    IF cardinality(others) > 0 THEN
        RETURN QUERY EXECUTE scoring || format(' AND p.id = ANY(%L) OFFSET 0) s', others);
    END IF;
END
$body$
"""

_COUNTS_SIGNATURE = "search_term_counts(text[], integer)"
_WORDS_SIGNATURE = (
    "search_words(text[], double precision[], integer, text, double precision, jsonb, uuid[], "
    "integer, integer)"
)


def _function(create: str, signature: str) -> list[tuple[str, str]]:
    """Made by the owner, given away, and dropped as who it was given to."""
    return [
        (create, f"SET LOCAL ROLE {SEARCH}; DROP FUNCTION {signature}; RESET ROLE"),
        (f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC", ""),
        (f'GRANT EXECUTE ON FUNCTION {signature} TO "{RUNTIME}"', ""),
        (f"ALTER FUNCTION {signature} OWNER TO {SEARCH}", ""),
    ]


# (forwards, backwards), to be undone in reverse order.
STATEMENTS = [
    (f"GRANT SELECT ON memory_passage TO {SEARCH}", f"REVOKE SELECT ON memory_passage FROM {SEARCH}"),
    (
        f"CREATE POLICY search_rows ON memory_passage FOR SELECT TO {SEARCH} USING (true)",
        "DROP POLICY search_rows ON memory_passage",
    ),
    *_function(TERM_COUNTS, _COUNTS_SIGNATURE),
    *_function(WORDS, _WORDS_SIGNATURE),
]
