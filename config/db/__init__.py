"""Django's PostgreSQL backend, with what is different here; see features.py and operations.py."""
