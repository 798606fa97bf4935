"""Backups of the whole database: made while it serves, tried, kept in number, and restored.

A backup is what pg_dump makes in custom format: one snapshot of everything, without roles and
passwords. It counts only once it was restored into a throwaway server and `manage.py verify` found
nothing there.

programs.py  PostgreSQL's client programs: which, as whom, and what they say
dump.py      a whole file under its name, or none
trial.py     a backup restored into a server that is thrown away, and verified there
making.py    `manage.py backup`: dump, trial, rotation, record
restoring.py `manage.py restore`: into a new cluster beside the old one, or an empty database
"""
