"""Django's PostgreSQL backend with one feature off; see features.py."""
