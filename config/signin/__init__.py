"""How people sign in to the admin. Not for keys of programs (contacts/api/auth.py)."""
