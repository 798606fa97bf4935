"""What tests of redaction share: a secret of each kind, and marks without their hashes."""

import re

from config.lib.tokens import make_token
from tests.factories import nowhere

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq\n-----END RSA PRIVATE KEY-----"
# By kind: what nothing but a secret looks like.
SECRETS = {
    "anthropic-key": "sk-ant-api03-AbCdEf0123456789-xyz",
    "openai-key": "sk-proj-AbCd0123456789efgh4567",
    "github-token": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "gitlab-token": "glpat-abcdefghij0123456789",
    "aws-key-id": "AKIAIOSFODNN7EXAMPLE",
    "google-key": "AIza" + "a1B2c3D4e5" * 3 + "abcde",
    "google-secret": "GOCSPX-" + "a1B2c3D4" * 4,
    "google-token": "ya29." + "a0Bc1_dE-2" * 4,
    "slack-token": "xoxb-123456789012-abcdefghij",
    "slack-webhook": "https://hooks.slack.com/services/T01234567/B01234567/a1B2c3D4e5",
    "stripe-key": "sk_live_abcdefghij0123456789",
    "npm-token": "npm_" + "a1B2" * 9,
    "pypi-token": "pypi-AgEI" + "cHlwaS5vcmc" * 6,
    "hugging-face-token": "hf_" + "aB3dE" * 7,
    "sendgrid-key": "SG." + "a1B2c3D4" * 3 + "." + "e5F6g7H8" * 5,
    "groq-key": "gsk_" + "a1B2c3D4" * 6,
    "xai-key": "xai-" + "a1B2c3D4" * 8,
    "perplexity-key": "pplx-" + "a1B2c3D4" * 6,
    "replicate-token": "r8_" + "a1B2c3D4" * 5,
    "digitalocean-token": "dop_v1_" + "0123456789abcdef" * 4,
    "shopify-token": "shpat_" + "0123456789abcdef" * 2,
    "linear-key": "lin_api_" + "a1B2c3D4" * 5,
    "vault-token": "hvs." + "a1B2c3D4" * 4,
    "age-key": "AGE-SECRET-KEY-1" + "QPZRY9X8GF" * 6,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w",
    "private-key": PEM,
    "remembrancer-key": make_token(nowhere(), nowhere())[0],
}
# Of which what stands around it stays: (the secret, the text with it).
IN_PLACES = {
    "password": ("hunter22xyz", "postgres://vera:hunter22xyz@db/x"),
    "authorization": ("abcdefghijklmnop12", "Authorization: Bearer abcdefghijklmnop12"),
    "variable": ("correcthorsebattery", "export DB_PASSWORD=correcthorsebattery"),
}
# Keys of JSON whose values are secrets, whatever they look like.
NAMED = {
    "password": "plain words one",
    "authorization": "plain words two",
    "Set-Cookie": "plain words three",
    "api_key": "plain words four",
    "refreshToken": "plain words five",
}
_HASH = re.compile(r"(\[REDACTED:[\w .-]+):[0-9a-f]{8}\]")


def unhashed(text: str) -> str:
    return _HASH.sub(r"\1]", text)


# A pattern of the workspace's own, and what it finds.
BADGE, BADGES = "BADGE-123456", "BADGE-[0-9]{6}"
# What must stand nowhere.
SOUGHT = {
    **{kind: secret for kind, secret in SECRETS.items() if kind != "private-key"},
    "private-key": "MIIEowIBAAKCAQEA7bq",
    **{kind: secret for kind, (secret, _) in IN_PLACES.items()},
    **{f"named {name}": value for name, value in NAMED.items()},
    "badge": BADGE,
}
_SINGLE = [*SECRETS.values(), *(text for _, text in IN_PLACES.values()), BADGE]
ALL = "\n".join(["first", *_SINGLE, '{"password": "plain words one"}', "last"])
JSON = {"note": ALL, **NAMED, "deep": [{"deeper": {"note": ALL, **NAMED}}], BADGE: "a key"}


def texts(longest: int | None = None) -> list[str]:
    """Everything in one text, or a text for each where there is no room."""
    if longest is None or longest >= len(ALL):
        return [ALL]
    return [one for one in _SINGLE if len(one) <= longest]


def leaks(text: str) -> set[str]:
    """The kinds of what is found in a text in the clear, however JSON escapes it."""
    plain = text.replace("\\/", "/")
    return {kind for kind, secret in SOUGHT.items() if secret in plain}
