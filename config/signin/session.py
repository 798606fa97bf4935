"""What a session says of how its person came in. Kept on the server; a browser has its id alone."""

# By single sign-on: the provider asked for what it asks for.
BY_SSO = "by_sso"
# When the password was given last, seconds since the epoch.
PASSWORD_AT = "password_at"  # noqa: S105  (no password)
# The second factor was proven, or set up, in this session.
PROVEN = "second_factor"
# After the password, before the code.
PENDING = "second_factor_pending"
# What a phone is being given, until its first code says that it has it.
SECRET = "second_factor_secret"  # noqa: S105  (the secret is its value)
