"""The reader of plain-SQL dumps: against what pg_dump itself writes, and against what is cut,
split at any byte, or no dump."""

import contextlib
import io
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.importers.archon import dump as module
from memory.importers.archon.dump import CutOff, Dump, DumpError
from tests.importers.postgres import dumped, scratch_database


def read(text: bytes | str) -> dict[str, list[tuple]]:
    raw = text.encode() if isinstance(text, str) else text
    found: dict[str, list[tuple]] = {}
    for row in Dump(io.BytesIO(raw)).rows():
        found.setdefault(row.table.name, []).append(row.problem or row.values)
    return found


@pytest.fixture(scope="module")
def url(database_server) -> Iterator[str]:
    with scratch_database(database_server) as address:
        with psycopg.connect(address) as connection:
            connection.execute(
                'CREATE TABLE notes (id int PRIMARY KEY, "Body; text" text, flag boolean, '
                "n numeric, at timestamptz, data jsonb, raw bytea, parts text[], "
                "twice int GENERATED ALWAYS AS (id * 2) STORED, CHECK (id >= 0))"
            )
            connection.execute("CREATE SCHEMA other")
            connection.execute("CREATE TABLE other.empty (a int, b text)")
            connection.execute(
                "CREATE FUNCTION tricky() RETURNS text LANGUAGE sql AS $fn$ "
                "SELECT 'INSERT INTO notes VALUES (1); COPY notes FROM stdin;' $fn$"
            )
            connection.execute("COMMENT ON TABLE notes IS 'it''s; a \"table\"'")
        yield address


texts = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40
) | st.text(alphabet="\\'\"$.N;E\n\t\r ax1(,)", max_size=20)
FORMS = (
    (),
    ("--column-inserts",),
    ("--inserts", "--rows-per-insert=3"),
    ("--data-only", "--column-inserts", "--on-conflict-do-nothing"),
    ("--encoding=LATIN1",),
)


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
@settings(max_examples=2, deadline=None)
@given(bodies=st.lists(st.none() | texts, min_size=10, max_size=40))
def test_what_pg_dump_writes_is_read_back(url, form, bodies):
    if "LATIN1" in str(form):
        bodies = [b and b.encode("latin1", "ignore").decode("latin1") for b in bodies]
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE notes")
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO notes VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (i, body, i % 2 == 0, f"-1{i}.5e3", "infinity", '{"a": "\\\\"}',
                     b"\x00'\\", ["a,b", body])
                    for i, body in enumerate(bodies)
                ],
            )  # fmt: skip
        wanted = connection.execute(
            'SELECT id::text, "Body; text", n::text, at::text, data::text, raw::text, parts::text '
            "FROM notes ORDER BY notes.id"
        ).fetchall()
    found = []
    dump = Dump(io.BytesIO(dumped(url, *form)))
    for row in dump.rows():
        assert not row.problem
        held = dict(zip(row.table.columns, row.values, strict=True))
        names = ("id", "Body; text", "n", "at", "data", "raw", "parts")
        found.append(tuple(held[name] for name in names))
        assert held["flag"] in ("t", "f", "true", "false")
    assert found == wanted
    assert dump.complete
    if "--data-only" not in form:
        assert dump.tables["other", "empty"].columns == ("a", "b")


COPY = (
    "\ufeff--\n-- PostgreSQL database dump\n--\n\\restrict x'y\nSET transaction_timeout = 0;\n"
    "CREATE FUNCTION f() RETURNS void AS $_$ SELECT ';' $_$ LANGUAGE sql;\n"
    "COPY public.notes (id, body) FROM stdin;\n1\ta\\tb\\\\n\\101\\x42\n2\t\\N\n3\t\n\\.\n\n\n"
    "INSERT INTO public.notes (id, body) VALUES (4, E'it\\'s\\n\\u00e9'), (5, 'a\n''b;'),\n"
    " (-6.5e+3, NULL) ON CONFLICT DO NOTHING;\n"
    "INSERT INTO \"Other\".\"No\"\"tes\" (\"a b\") VALUES ($q$x'$q$), ('{}'::jsonb), (now()), "
    "(DEFAULT);\n"
    "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x'y\n"
)  # fmt: skip
ROWS = {
    "notes": [
        ("1", "a\tb\\nAB"), ("2", None), ("3", ""), ("4", "it's\né"), ("5", "a\n'b;"),
        ("-6.5e+3", None),
    ],
    'No"tes': [("x'",), ("{}",), ("now ( )",), (None,)],
}  # fmt: skip


def test_every_form_of_rows_is_read():
    assert read(COPY) == ROWS
    assert read(COPY.replace("\n", "\r\n").replace("'a\r\n", "'a\n")) == ROWS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_where_the_file_is_split_does_not_matter(size, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", size)
    monkeypatch.setattr(module, "LOOK_AHEAD", 64)
    assert read(COPY) == ROWS


def test_a_dump_that_is_cut_anywhere_says_so():
    """Its end is a comment, so that cutting it anywhere before leaves no whole dump."""
    raw = COPY.encode()
    last = raw.index(b"dump complete")
    for end in range(raw.index(b"dump\n") + 5, last, 3):
        with pytest.raises(CutOff):
            read(raw[:end])


def test_a_row_of_another_width_does_not_stop_the_rest():
    found = read("COPY notes (a, b) FROM stdin;\n1\t2\n3\n4\t5\t6\n7\t8\n\\.\n"
                 "INSERT INTO notes (a, b) VALUES (1), (2, 3);\n")  # fmt: skip
    assert found == {
        "notes": [
            ("1", "2"), "it has 1 values for 2 columns", "it has 3 values for 2 columns",
            ("7", "8"), "it has 1 values for 2 columns", ("2", "3"),
        ]
    }  # fmt: skip


def test_bytes_that_are_not_in_its_encoding_are_kept():
    (row,) = read(b"COPY notes (a) FROM stdin;\nx\xff\xe9y\n\\.\n")["notes"]
    assert row[0].encode("utf-8", "surrogateescape") == b"x\xff\xe9y"
    dump = b"SET client_encoding = 'WIN1252';\nCOPY notes (a) FROM stdin;\n\x80\n\\.\n"
    assert read(dump) == {"notes": [("€",)]}
    with pytest.raises(DumpError, match="EBCDIC"):
        read("SET client_encoding = 'EBCDIC_X';")


def test_rows_without_names_of_their_columns_need_the_table():
    with pytest.raises(DumpError, match="--column-inserts"):
        read("INSERT INTO notes VALUES (1);")
    table = (
        "CREATE TABLE notes (a int, CONSTRAINT x CHECK ((a > 0) OR (b > 1)), b numeric(3, 2) "
        "NOT NULL);"
    )
    assert read(table + "INSERT INTO notes VALUES (1, 2);") == {"notes": [("1", "2")]}


def test_a_quote_that_is_never_closed_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(module, "MAX_TOKEN", 1 << 20)
    with pytest.raises(DumpError, match="never closed"):
        read("INSERT INTO notes (a) VALUES ('" + "x" * (3 << 20))
    with pytest.raises(DumpError, match="more than 1 MB"):
        read("COPY notes (a) FROM stdin;\n" + "x" * (3 << 20))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="COPY INSERT VALUES notes (a) FROM stdin;\n\\.'\"$E-/*,1\t", max_size=120))
def test_no_text_breaks_it(text):
    for whole in (text, "COPY n (a) FROM stdin;\n" + text):
        with contextlib.suppress(DumpError):
            read(whole)
