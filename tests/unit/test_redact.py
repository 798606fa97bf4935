"""Secrets are found by their form and by the names of keys, and little else is."""

import json
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.lib import redact as redact_module
from config.lib.patterns import NOTHING, read_extra
from config.lib.recalled import (
    CLOSE,
    OPEN,
    as_recalled,
    ends_without_recalled,
    without_recalled,
)
from config.lib.redact import (
    all_clean,
    looking_once,
    may_hold_secrets,
    redact,
    redact_text,
    redacting_for,
)
from config.lib.redact_named import _ENDINGS, _WHOLE, is_secret_name
from tests.factories import nowhere
from tests.redaction import BADGE, BADGES, PEM, SECRETS, unhashed


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items(), ids=SECRETS)
def test_a_secret_is_known_by_its_form(kind, secret):
    text = f"before {secret} after"
    assert redact_text(text) == f"before [REDACTED:{kind}] after"
    assert may_hold_secrets(json.dumps(text))


PIECES = (
    "://", r":\/\/", "%3A%2F%2F", "user", ":", "%3a", "hunter22xyz", "@", "%40", "/", " ", "\n",
    r"\n", "\x0b", "\u00a0", '"', "'", "<", ">", "&", "=", "host", "postgres", "mongodb+srv",
    "0a1b2c3d4e5f6g7h8i9j", "[REDACTED:", "]", "Bearer", "DB_PASSWORD", "ghp_", "\u00e9",
    "%20", "?", "#", "\t", "\u2028", "password", "api_key", "--token", "Authorization", "Cookie",
    "a=b2c3d4e5f6", "curl", "-u", "name", "value", "key", "\\", "{", "}", ",", "sk-",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
@settings(max_examples=500)
def test_the_first_look_at_a_text_passes_over_nothing(text):
    """It says which forms are looked for; whatever one of them finds, it has to have said so."""
    looked_for = redact_module._worth_a_look(text)
    for number, form in enumerate(redact_module._ALL):
        assert number in looked_for or form(text) == text


@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
@settings(max_examples=500)
def test_what_json_makes_of_a_text_hides_nothing_from_the_first_look(text):
    """A line end or a tab is letters there, and so is what stands before a slash or a quote."""
    for value in ({"said": text}, ["a", text], {"name": text, "value": "hunter22xyz"}):
        assert redact(value) == redact_module._walked(value, False)


@pytest.mark.parametrize("joined", ["", " ", "-", "_", "."])
@pytest.mark.parametrize("name", [*_WHOLE, *_ENDINGS])
def test_a_name_that_stands_as_a_value_of_its_own_is_known_as_one_that_is_a_key(name, joined):
    name = name.replace(" ", joined)
    for value in ([name, "hunter22xyz"], {"name": name, "value": "hunter22xyz"}):
        assert "hunter22xyz" not in json.dumps(redact(value))
    assert "hunter22xyz" not in redact_text(f"{{'{name}': 'hunter22xyz'}}")


@pytest.mark.parametrize(
    "text",
    [
        "cd here\ncurl -u vera:hunter22xyz https://example.org",
        "cd here\\ncurl -u vera:hunter22xyz https://example.org",
        "run\n--password\thunter22xyz",
        "password\t= hunter22xyz",
        "Cookie\t: session=hunter22xyz",
        '"password"\n: "hunter22xyz"',
        r"{'at': 'https:\/\/vera:hunter22xyz@example.org'}",
    ],
)
def test_white_space_before_a_secret_in_json_hides_it_from_nobody(text):
    assert "hunter22xyz" not in json.dumps(redact({"said": text}))
    assert "hunter22xyz" not in redact_text(text)


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items(), ids=SECRETS)
def test_many_values_are_looked_at_at_once(kind, secret):
    clean = ["see https://example.org:8080/a@b", ["tag"], {"note": "plain", "n": 3}]
    assert all_clean(clean)
    assert not all_clean([*clean, f"before {secret} after"])
    assert not all_clean([{"deep": [{"in": secret}]}, *clean])


def test_a_name_of_a_secret_or_what_has_no_json_is_looked_at_closer():
    assert not all_clean(["plain", {"password": "plain words"}])
    assert not all_clean(["plain", {"token": object()}])


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items(), ids=SECRETS)
def test_a_line_end_of_two_letters_hides_no_secret(kind, secret):
    """So they stand in a tool's output that is JSON, and in a vCard."""
    text = rf"before\n{secret}"
    assert redact_text(text) == rf"before\n[REDACTED:{kind}]"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://vera:hunter22@db/x", "postgres://vera:[REDACTED:password]@db/x"),
        ("-H 'X: Bearer abcdefghijklmnop12'", "-H 'X: Bearer [REDACTED:authorization]'"),
        ("export DB_PASSWORD=correcthorse", "export DB_PASSWORD=[REDACTED:variable]"),
        ('API_KEY="abcdefgh1234"', 'API_KEY="[REDACTED:variable]"'),
        (f"{PEM[:40]} cut off", "[REDACTED:private-key]"),
    ],
)  # fmt: skip
def test_what_stands_around_a_secret_stays(text, left):
    assert redact_text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org:8080/a@b and http://localhost/x",
        "API_KEY=$SECRET and TOKEN=<your token> and MAX_TOKENS=1200",
        "task-manager risk-assessment-of-everything-that-we-do",
        "the bearer of bad news",
        "git commit 0123456789abcdef0123456789abcdef01234567",
        "sk-loading-indicator-wrapper-element",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "around",
    [
        "a=%7B%22t%22%3A%22{}%22%7D", "\x1b[32m{}\x1b[0m", "\\u001b[1;31m{}\\u001b[0m",
        "\\u0022{}\\u0022", "\\x22{}\\x22", "k%3D{}%26x",
    ],
)  # fmt: skip
def test_an_escape_before_it_hides_no_secret(around):
    for kind in ("github-token", "anthropic-key", "aws-key-id", "jwt"):
        left = unhashed(redact_text(around.format(SECRETS[kind])))
        assert left == around.format(f"[REDACTED:{kind}]")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("aws_secret_key = wJalrX/K7MDENG", "aws_secret_key = [aws_secret_key]"),
        ("db:\n  password: hunter22x\n", "db:\n  password: [password]\n"),
        ("f(password='hunter22x', n=1)", "f(password='[password]', n=1)"),
        ("{'password': 'plain words'}", "{'password': '[password]'}"),
        ("GET /a?x=1&api_key=abcdef123456&y=2", "GET /a?x=1&api_key=[api_key]&y=2"),
        ("x --password hunter22x -v", "x --password [password] -v"),
        ("x --auth-token=abc123def", "x --auth-token=[auth-token]"),
        ("%22password%22%3A%22hunter22x%22", "%22password%22%3A%22[password]%22"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [authorization]"),
        ("-H 'authorization: token abc123def4'", "-H 'authorization: token [authorization]'"),
        ("Cookie: a=b; sid=abc123def4\r\nHost: x", "Cookie: a=b; sid=[cookie]\r\nHost: x"),
        ("Set-Cookie: sid=abc123def4; Path=/", "Set-Cookie: sid=[cookie]; Path=/"),
        ("X-Api-Key: abc123def4", "X-Api-Key: [x-api-key]"),
        ("curl -su vera:hunter22x http://x", "curl -su vera:hunter22x http://x"),
        ("curl -u vera:hunter22x http://x", "curl -u vera:[password] http://x"),
        ("- name: DB_PASSWORD\n  value: hunter22x", "- name: DB_PASSWORD\n  value: [db_password]"),
        ('"name": "PASSWORD", "value": "a b c"', '"name": "PASSWORD", "value": "[password]"'),
        ('"Set-Cookie": ["sid=abc"]', '"Set-Cookie": ["[set-cookie]"]'),
        ("postgres://v:pa@ss1@db/x", "postgres://v:[password]@db/x"),
        ("postgres://v:pa/ss1@db/x", "postgres://v:[password]@db/x"),
        ("postgres:\\/\\/v:pass1@db", "postgres:\\/\\/v:[password]@db"),
        ("postgres%3A%2F%2Fv%3Apass1%40db", "postgres%3A%2F%2Fv%3A[password]%40db"),
        ("https://0123456789abcdef0123@git.example.com", "https://[password]@git.example.com"),
        (f"https://{SECRETS['github-token']}@github.com", "https://[github-token]@github.com"),
        ("key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpN", "key-data: [private-key]"),
    ],
)  # fmt: skip
def test_a_name_in_plain_text_says_it_where_the_value_looks_like_one(text, left):
    with redacting_for(nowhere(), NOTHING):
        once = redact_text(text)
        assert unhashed(once).replace("REDACTED:", "") == left
        assert redact_text(once) == once


def test_a_mark_of_any_kind_stays_what_it_is():
    with redacting_for(nowhere(), NOTHING):
        for name in ("proxy-authorization", "set-cookie", "github-token", "DB_PASSWORD", *SECRETS):
            for hashed in ("00000000", "3f9a2c1d"):
                marked = f"[REDACTED:{name}:{hashed}]"
                for text in (
                    marked,
                    f"{name}={marked}",
                    f'{{"{name}": "{marked}"}}',
                    f"{name}: {marked}",
                ):
                    assert redact_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password: str = Field()", "token = tokens1[0]", "secret=get_secret1(x)",
        "Authorization: authHeader", "the password 12345678 characters", "token: string",
        "max_tokens=12345678", "a token of 1000000000",
        "password=$DB_PASSWORD1", "next_token=abc123def4", "Cookie: name=value",
        "{'type': 'password'}", "http://[::1]:8080/@x", "redis://db:6379/0",
        "secret_key: your-key1234",
    ],
)  # fmt: skip
def test_a_name_in_plain_text_alone_says_nothing(text):
    assert redact_text(text) == text


def test_a_name_may_stand_beside_its_value_and_a_key_in_lines():
    value = {
        "headers": [["Cookie", "sid=1"], ["Host", "x"]],
        "env": [{"name": "DB_PASSWORD", "value": "plain words"}, {"name": "HOST", "value": "db"}],
        "cookies": [{"name": "sid", "value": "abc", "path": "/"}],
        "jar": {"cookies": {"sid": "abc"}},
        "lines": [*PEM.split("\n"), "after"],
    }
    clean = redact(value)
    assert clean["headers"][0][0] == "Cookie"
    assert clean["headers"][1] == ["Host", "x"]
    assert unhashed(clean["env"][0]["value"]) == "[REDACTED:db_password]"
    assert clean["env"][1] == {"name": "HOST", "value": "db"}
    assert clean["lines"][-1] == "after"
    assert not any(one in str(clean) for one in ("sid=1", "abc", "MIIE", "plain words"))
    assert redact(clean) == clean


def test_a_keys_name_says_that_its_value_is_a_secret():
    value = {"API-Key": "plain", "password": "x", "input_tokens": 5, "session_id": "s",
             "token": None, "nested": [{"refreshToken": "r", "author": "vera"}]}  # fmt: skip
    assert redact(value) == {
        "API-Key": "[REDACTED:api-key]",
        "password": "[REDACTED:password]",
        "input_tokens": 5,
        "session_id": "s",
        "token": None,
        "nested": [{"refreshToken": "[REDACTED:refreshtoken]", "author": "vera"}],
    }
    for name in (
        "DB_PASSWORD", "PGPASSWORD", "GITHUB_TOKEN", "WEBHOOK_SECRET", "db.password",
        "stripeApiKey", "X-Auth-Token", "aws_session_token", "aws_secret_access_key",
        "RESET_TOKEN", "new-password",
    ):  # fmt: skip
        assert is_secret_name(name), name
    for name in (
        "next_page_token", "eos_token", "MAX_TOKENS", "access_key_id", "secretary", "public_key",
        "idempotency_key", "passwords_seen", "x" * 500, "reset_password", "changePassword",
    ):  # fmt: skip
        assert not is_secret_name(name), name
    assert may_hold_secrets('{"client_secret": "x"}')
    assert not may_hold_secrets('{"input_tokens": 5, "text": "hello"}')


def test_a_secret_key_hides_texts_in_a_list_and_numbers_that_are_passwords():
    value = {
        "Set-Cookie": ["sid=abc", "t=1"],
        "password": 12345678,
        "token": 42,
        "passphrase": True,
    }
    assert redact(value) == {
        "Set-Cookie": ["[REDACTED:set-cookie]"] * 2,
        "password": "[REDACTED:password]",
        "token": 42,
        "passphrase": True,
    }
    assert may_hold_secrets(json.dumps({"Set-Cookie": ["sid=abc"]}))
    assert may_hold_secrets('{"password": 12345678}')


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a": 1, "password": "hun\\"ter", "b', '{"a": 1, "password": "[REDACTED:password]", "b'),
        ('{"db_password":"cut of', '{"db_password":"[REDACTED:db_password]'),
        ('"token": "", "secret": " "', '"token": "", "secret": " "'),
        ('say "token": or "password" alone', 'say "token": or "password" alone'),
        ('{"name": "password", "value": "x"}', '{"name": "password", "value": "x"}'),
        ('{"o": "{\\"apiKey\\": \\"k\\", \\"n\\": 1}"}',
         '{"o": "{\\"apiKey\\": \\"[REDACTED:apikey]\\", \\"n\\": 1}"}'),
    ],
)  # fmt: skip
def test_a_secret_key_is_found_in_json_that_stands_in_a_text(text, left):
    assert redact_text(text) == left
    assert redact_text(left) == left
    assert may_hold_secrets(text) or text == left


def test_keys_that_never_end_take_no_time():
    for hostile in ('"password ' * 200_000, ('"' + "a_" * 60 + '": "') * 20_000):
        assert redact_text(hostile) == hostile


def test_recalled_text_is_taken_out_whole():
    block = as_recalled(f"one\n{CLOSE}\n{OPEN} two </REMEMBRANCER-RECALL >")
    assert block.count(OPEN) == block.count(CLOSE) == 1
    assert without_recalled(f"before\n{block}\nafter") == "before\n\nafter"
    assert without_recalled(f"{block} middle {block}") == "middle"
    # Cut off: it reaches to the end.
    assert without_recalled(f"before {block[:-5]}") == "before"
    assert without_recalled("  as it is ") == "  as it is "
    assert without_recalled(" a remembrancer-recall ") == " a remembrancer-recall "


def test_of_a_text_without_its_middle_no_end_of_a_block_is_left():
    block = as_recalled("one " * 50)
    for told in (block, escape(block)):
        text = f"before {told} after"
        for head in (3, 60):
            for tail in (3, 60, len(text) - head):
                left = ends_without_recalled(text[:head], text[-tail:])
                assert set(left.split()) <= {"before", "bef", "ore", "after", "ter"}
    assert ends_without_recalled("a", f"b {block} c") == "a\n\nb  c"


def test_recalled_text_is_taken_out_as_gemini_escapes_it():
    block = escape(as_recalled(f"one {escape(CLOSE)} two"))
    assert block.count(escape(CLOSE)) == 1
    assert without_recalled(f"before {block} after") == "before  after"
    # Its own mark around what hooks add goes with it, and stays around what is somebody else's.
    hooked = f"<hook_context>{block}</hook_context>\n\nWhen?"
    assert without_recalled(hooked) == "When?"
    others = f"<hook_context>{block}\nBe brief.</hook_context>\n\nWhen?"
    assert without_recalled(others) == "<hook_context>\nBe brief.</hook_context>\n\nWhen?"


def test_what_holds_no_secret_is_looked_through_once(monkeypatch):
    plain, told = "The seedlings need water at noon.", {"plant": ["fern", "moss"]}
    secret = f"before {SECRETS['github-token']} after"
    with looking_once() as found:
        assert redact_text(plain) == plain
        assert redact_text(secret) != secret
        assert redact_text('the "password"') == 'the "password"'
        assert not may_hold_secrets(json.dumps(told, separators=(",", ":")))
        assert may_hold_secrets(json.dumps(secret))
        assert found == {plain, '{"plant":["fern","moss"]}'}
        assert not all_clean([plain, told, secret])
        assert not all_clean([plain, {"password": "hunter22"}])
    with looking_once(found):
        monkeypatch.setattr(redact_module, "_hinted", None)
        assert all_clean([plain, told])
        with pytest.raises(TypeError):
            all_clean([plain, "another"])
    with pytest.raises(TypeError):
        all_clean([plain])


def test_what_a_workspace_looks_for_is_looked_for_though_there_was_nothing_else():
    with (
        looking_once({BADGE}),
        redacting_for(nowhere(), read_extra({"patterns": {"badge": BADGES}})),
    ):
        assert not all_clean([BADGE])
