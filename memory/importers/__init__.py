"""Importers: what other systems kept, read and brought into the record.

The frame is shared: `run.py` (one run), `writer.py` (batches into rows, with `finder.py`, which
knows what is there, `appender.py` for messages and events, and `settler.py` for what waits),
`check.py` (whether it adds up), `undo.py` (which memory/unlearning/ does), `report.py`,
`registry.py` (the names `manage.py import` knows). A source is a module or package of its own, and
adds only what is its own:

1. `mapping.py` (or several, by concept): one function for each table of theirs, `their row ->
   Entry`, that a person can read from top to bottom. `values.Fields` reads a column liberally
   (text, json, time, number, choice) and notes what had to give way. An Entry holds Drafts
   (`rows.py`): a model of ours, the source's key as external_id, `values` of its fields, `refs` to
   others by their keys, a memory's `links`. A row that becomes nothing is an Entry without drafts
   and with a finding that says why.
   Messages and events are `Appended` to a Ref of their thread or session, each with a key of its
   own (native_uuid, dedupe_key). Row by row, nothing here knows ids, transactions or batches.
2. `reader.py`: a `source.Source` whose `open` looks at the path, raises SourceError in one line
   (`sniff.py` says what a wrong file looks like), and yields a `Reading`: `totals` by table, what
   is unknown of the whole, and `entries()`, streamed, which can be asked for again: verification
   reads twice. SQLite files go through `sqlite.opened`, which copies them with their -wal. A dump
   or a document is streamed too, or loaded into an SQLite file in `scratch`.
3. A line in `registry.py`, telling tables or lines in `sniff.py`, a page in docs/moving-in/, and a
   row in tests/importers/sources.py, by which it has all the tests of the frame's properties.

What the frame does with entries, so that no source has to: secrets are redacted and counted; NUL,
lone surrogates (also from text that is not UTF-8) and NaN replaced and reported; texts and JSON
beyond a field's size cut and reported; a field that cannot be stored left at its default, a row
that cannot be stored skipped, both reported; references resolved in any order (what is `needed` for
a row to exist must come before it), dangling ones reported and kept as text in `metadata.dangling`;
rows that are there compared, and updated where nobody but imports changed them; everything written
in bulk, with Revisions in the name of the run. In `once` stand fields that live on here (counters)
or that were guessed: they are not compared later. What has no column of its own goes to `metadata`.

Formats with identities of their own (lines of transcripts) yield Entries with `work` instead, which
writes in the frame's transaction; see claude_code/source.py.
"""
