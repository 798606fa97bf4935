"""GET /install: a script for this server, and nothing of anybody else's in it."""

import hashlib

import pytest
from django.test import Client

from tests.shim.machine import OLDEST, PYTHON, SHIM, version_of


def test_the_script_names_this_server_and_the_programs_sum():
    answer = Client().get("/install", headers={"host": "127.0.0.1:8123"})
    assert answer.status_code == 200
    text = answer.content.decode()
    assert text.startswith("#!/bin/sh\n")
    assert "curl -fsS http://127.0.0.1:8123/install |" in text
    program = Client().get("/install/remember.py", headers={"host": "127.0.0.1"})
    assert program.content == SHIM.read_bytes()
    assert hashlib.sha256(program.content).hexdigest() in text
    assert "@" not in text.replace('"$@"', "")
    for one in (answer, program):
        assert one["Content-Type"] == "text/plain; charset=utf-8"
        assert one["Cache-Control"] == "no-store"
        assert one["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in one["Content-Security-Policy"]


@pytest.mark.parametrize(
    "host", ["evil.example", "$(id)", "a';id;'", "127.0.0.1:80'", "127.0.0.1/x", "a b"]
)
def test_no_host_gets_into_the_script_that_is_not_ours(host, settings):
    answer = Client().get("/install", headers={"host": host})
    assert answer.status_code == 400
    settings.ALLOWED_HOSTS = ["*"]
    answer = Client().get("/install", headers={"host": host})
    assert answer.status_code == (200 if host == "evil.example" else 400)


def test_it_is_tried_on_the_oldest_python_that_it_is_for():
    """All that tests/shim starts is."""
    assert f"Python {OLDEST[0]}.{OLDEST[1]} or newer" in SHIM.read_text()
    assert f'target-version = "py{OLDEST[0]}{OLDEST[1]}"' in (SHIM.parent / "ruff.toml").read_text()
    if version_of(PYTHON)[:2] != OLDEST:
        pytest.skip("there is no Python {}.{} here: the shim ran on {}".format(*OLDEST, PYTHON))


def test_only_reading():
    assert Client().post("/install").status_code in (403, 405)
