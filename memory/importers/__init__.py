"""Importers: what other systems kept, read and brought into the record.

One package or module per source. The reading halves know files and formats and nothing of the
database; the storing halves know our services and nothing of formats.
"""
