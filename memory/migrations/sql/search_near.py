"""SQL of migration 0031: search_rows finds what is near by meaning itself, where the index of
vectors does, and reads neighbouring messages together. Frozen with it; a change is a new one.

To find what is near in a statement of its own was a way to the server and back, and the statement,
with a vector's text in it, was read and planned for every search.
"""

from memory.migrations.sql.search_enough import _enough
from memory.migrations.sql.search_functions import _function
from memory.migrations.sql.search_plans import (
    _KEPT_PLAN,
    _NEW_ROWS,
    _SIZED_TYPES,
    CHOOSING,
    SIZES,
    _inner,
    _sized,
)
from memory.migrations.sql.search_rows import _drop
from memory.migrations.sql.search_texts import _replaced, _returning, _with_texts

# The passages nearest to a vector that pass what every search asks for: live rows; in no order, with
# their places in the table, by which they are found again at once. By the index of
# that slot's vectors of that length, which must be there. The first statement is for the model that
# comes with the product, and planned once; the second for all others. That a plan for every query
# uses the index is said by enable_sort: no other has the rows in order. relaxed_order: where other
# workspaces' rows take most away, what is found late may be nearer than what was found before, and
# the strict order would leave it out. These settings do not stand in the function's head: who
# restores a dump of it need not be allowed to name those of an extension that is not loaded yet.
_NEAR = """
    SELECT p.id, p.ctid FROM public.memory_passage p
     WHERE p.workspace_id = {own} AND p.{space} = {of}
       AND p.{vector} IS NOT NULL AND public.vector_dims(p.{vector}) = {n}
       AND p.state = ANY({states}) AND (p.expires_at IS NULL OR p.expires_at > {moment})
     ORDER BY p.{vector}::public.halfvec({n}) OPERATOR(public.<=>) {given}::public.halfvec({n})
     LIMIT {most}"""
_FIRST = _NEAR.format(
    vector="embedding", space="space_id", n=384, given="_vector", own="_own", of="_space",
    states="_states", moment="_alive_at", most="_most",
)  # fmt: skip
_OTHER = _NEAR.format(
    vector="%1$I", space="%2$I", n="%3$s", given="$1", own="$2", of="$3", states="$4", moment="$5",
    most="$6",
)  # fmt: skip
NEAREST = f"""
CREATE FUNCTION search_nearest(
    _slot integer, _dimensions integer, _space uuid, _vector public.halfvec, _states text[],
    _alive_at timestamptz, _width integer, _most integer)
RETURNS TABLE (passage uuid, place tid)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
{_KEPT_PLAN}
SET enable_sort = off
AS $body$
#variable_conflict use_column
DECLARE
    _own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
BEGIN
    PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true),
            set_config('hnsw.max_scan_tuples', '40000', true),
            set_config('hnsw.ef_search', _width::text, true);
    IF _slot = 1 AND _dimensions = 384 THEN
        RETURN QUERY {_FIRST};
    ELSE
        RETURN QUERY EXECUTE format($sql${_OTHER}$sql$,
            CASE _slot WHEN 1 THEN 'embedding' ELSE 'second_embedding' END,
            CASE _slot WHEN 1 THEN 'space_id' ELSE 'second_space_id' END, _dimensions)
        USING _vector, _own, _space, _states, _alive_at, _most;
    END IF;
END
$body$
"""
_NEAREST = (
    "search_nearest(integer, integer, uuid, public.halfvec, text[], timestamp with time zone, "
    "integer, integer)"
)

# Without `near`, and with none where fewer are found than asked for: then they are looked for
# exactly first (dense.py).
_FIND = """BEGIN
    IF near IS NULL THEN
        SELECT array_agg(n.passage), array_agg(n.place) INTO near, places
          FROM public.search_nearest(
            slot, dimensions, space, of_query,
            ARRAY(SELECT jsonb_array_elements_text(filters -> 'states')),
            coalesce((filters ->> 'alive_at')::timestamptz, '-infinity'), width, most) n;
        IF cardinality(near) IS DISTINCT FROM most THEN
            RETURN;
        END IF;
    ELSE
        places := ARRAY(SELECT p.ctid FROM public.memory_passage p
                         WHERE p.workspace_id = own AND p.id = ANY(near));
    END IF;
"""
_GIVEN = "integer, uuid, text, text, integer"
_ARGUMENTS = "near uuid[], slot integer, space uuid, vector text, keywords text,"


def _finding(create: str) -> str:
    for before, after in (
        (
            _ARGUMENTS,
            "near uuid[], width integer, slot integer, dimensions integer, space uuid, "
            "vector text, keywords text,",
        ),
        (
            "    queries tsquery[];\n",
            "    queries tsquery[];\n    places tid[];\n    of_query public.halfvec := vector;\n"
            "    of_keywords public.halfvec := coalesce(keywords, vector);\n",
        ),
        ("BEGIN\n", _FIND),
        (
            "near, slot, space, vector, keywords, rows,",
            "near, slot, space, vector, coalesce(keywords, vector), rows,",
        ),
    ):
        create = _replaced(create, before, after, 1)
    # Each size's call.
    for before, after in (
        ("vector::public.halfvec, keywords::public.halfvec", "of_query, of_keywords"),
        ("newest, near, space,", "newest, places, space,"),
    ):
        create = _replaced(create, before, after, len(SIZES))
    return create


ROWS = _finding(_returning(CHOOSING))
_ROWS = _replaced(_NEW_ROWS, _GIVEN, f"integer, {_GIVEN.replace(' uuid,', ' integer, uuid,')}", 1)

# What is near is read by its places. Messages beside the best are read from the index by a look for
# each run of them, not for each message.
_APART = """      FROM (SELECT DISTINCT thread_id, idx + step AS idx
              FROM centres, unnest(ARRAY[-3, -2, -1, 0, 1, 2]) step
             WHERE spreads OR step IN (-2, -1, 1)) places, LATERAL ("""
_TOGETHER = """      FROM (SELECT thread_id, min(idx) AS head, max(idx) AS tail
              FROM (SELECT thread_id, idx,
                           idx - row_number() OVER (PARTITION BY thread_id ORDER BY idx) AS run
                      FROM (SELECT DISTINCT thread_id, idx + step AS idx
                              FROM centres, unnest(ARRAY[-3, -2, -1, 0, 1, 2]) step
                             WHERE spreads OR step IN (-2, -1, 1)) places) numbered
             GROUP BY thread_id, run) runs, LATERAL ("""
_CHANGED = (
    (_APART, _TOGETHER, 1),
    (
        "AND p.thread_id = places.thread_id AND p.idx = places.idx\n",
        "AND p.thread_id = runs.thread_id AND p.idx BETWEEN runs.head AND runs.tail\n",
        1,
    ),
    ("_near uuid[]", "_near tid[]", 1),
    (
        "SELECT DISTINCT unnest(_near) AS id EXCEPT SELECT id FROM named",
        "SELECT DISTINCT unnest(_near) AS place EXCEPT SELECT place FROM named",
        1,
    ),
    (
        "WHERE p.workspace_id = _own AND p.id = near.id OFFSET 0",
        "WHERE p.ctid = near.place AND p.workspace_id = _own OFFSET 0",
        1,
    ),
)


def _before(size: int) -> str:
    return _with_texts(_enough(_sized(size)))


def _together(create: str) -> str:
    for before, after, times in _CHANGED:
        create = _replaced(create, before, after, times)
    return create


_TYPES = _replaced(_SIZED_TYPES, "integer, uuid[], uuid,", "integer, tid[], uuid,", 1)

# (forwards, backwards), to be undone in reverse order.
STATEMENTS = [
    *_inner(NEAREST, _NEAREST),
    *(
        statement
        for size in SIZES
        for before in [f"search_rows_{size}({_SIZED_TYPES})"]
        for statement in [
            (_drop(before), [sql for sql, _ in _inner(_before(size), before)]),
            *_inner(_together(_before(size)), f"search_rows_{size}({_TYPES})"),
        ]
    ),
    (_drop(_NEW_ROWS), [sql for sql, _ in _function(_returning(CHOOSING), _NEW_ROWS)]),
    *_function(ROWS, _ROWS),
]
