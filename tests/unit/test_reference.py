"""What the pages on the API say is so."""

import re
import uuid

import pytest

from config.lib import clock
from contacts.scopes import AGENT_SCOPES, SCOPES
from sessions.channels.shapes import Letter, webhook
from tests.factories import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text()
ATTENTION = (ROOT / "docs" / "attention.md").read_text()


def test_every_scope_is_in_the_table():
    rows = re.findall(r"^\| `([a-z:]+)` \| (.+?) \| (yes|no) \|$", REFERENCE, re.MULTILINE)
    assert {name: text for name, text, _ in rows} == SCOPES
    assert {name for name, _, given in rows if given == "yes"} == set(AGENT_SCOPES)


@pytest.mark.parametrize("secret", ["sixteen or more characters", "whsec_c2l4dGVlbiBieXRlcyBvciBt"])
def test_the_recipe_checks_what_a_webhook_sends(secret):
    (recipe,) = re.findall(r"```python\n(import base64.+?)```", ATTENTION, re.DOTALL)
    names: dict = {}
    exec(recipe, names)
    now = clock.now()
    letter = Letter(
        delivery_id=uuid.uuid4(), attempt=1, kind="webhook", target="https://example.com/",
        secret=secret, workspace="w", agent="a", ping_id=uuid.uuid4(), message="Ünïcode",
        severity="high", options=["yes"], session_id=None, conversation_id="", created_at=now,
        expires_at=None, link="http://127.0.0.1/",
    )  # fmt: skip
    sent = webhook(letter, at=now)
    assert names["is_genuine"](secret, sent.headers, sent.body)
    assert not names["is_genuine"](secret, sent.headers, sent.body + b" ")
    assert not names["is_genuine"](secret + "BBBB", sent.headers, sent.body)
