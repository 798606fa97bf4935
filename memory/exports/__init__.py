"""A workspace as files that others can read, and that an import brings back.

kinds.py     what an export has, in which order, and what it leaves out
ndjson.py    all of it, one row a line (docs/export.md is its description)
sql.py       the same rows as SQL, for whom psql suffices
moment.py    one transaction for all that an export reads
markdown.py  threads and memories as Markdown, contacts as vCards, for people and their tools
"""
