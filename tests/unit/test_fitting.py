"""What is longer than is kept: shortened once, and no secret or mark of one is cut in two."""

import uuid

from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.lib.redact import NOTHING, redact_text, redacting_for
from config.lib.shorten import before_secret
from contacts.services.fitting import Shortened, fitted

PIECES = st.sampled_from(
    [
        "word ", "x", "\n", " aaa ", "ghp_" + "a1B2" * 9, "AKIAIOSFODNN7EXAMPLE",
        '{"password": "hunter2hunter2xyzw"}', '{"token": "x', "password=q1w2e3r4t5",
        "curl -u bob:hunter2secret https://h/", "Cookie: sid=abcdef0123456789abcdef",
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz", "postgres://u:secretpw@h/db",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
    ]
)  # fmt: skip
TEXT = st.lists(PIECES, min_size=3, max_size=24).map(" ".join)


# The cut makes a key of what was none; what hid one was another's neighbour.
@example("w" * 39 + " AKIAIOSFODNN7EXAMPLEabc", 60, "")
@example("curl -u bob:hunter2secret https://h/password=q1w2e3r4t5", 100, "")
@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXT, st.sampled_from([60, 100, 200, 300]), st.sampled_from(["", " ext. 12"]))
def test_what_is_kept_is_short_without_secrets_and_stays_so(text, most, end):
    with redacting_for(uuid.uuid4(), NOTHING):
        cut: list[Shortened] = []
        kept = fitted("notes", text, most, cut, end=end)
        assert len(kept) <= most
        assert kept.endswith(end)
        for one in cut:
            assert "ghp_" not in one.text
        if len(text) > most // 2 and not end:
            again: list[Shortened] = []
            assert redact_text(kept) == kept == fitted("notes", kept, most, again)
            assert again == []


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXT, st.integers(1, 300))
def test_what_is_redacted_afterwards_holds_no_half_of_a_secret(text, most):
    with redacting_for(uuid.uuid4(), NOTHING):
        kept = before_secret(text, most)
        assert text.startswith(kept)
        assert len(kept) <= most
        clean = redact_text(kept)
        for secret in ("ghp_a1B2", "AKIAIOSF", "hunter2hunter2xyzw"):
            assert secret not in clean or secret in redact_text(text)
    assert before_secret("w" * 90, 80) == "w" * 80
    assert before_secret("key ghp_" + "a1B2" * 9 + " and more", 30) == "key "
