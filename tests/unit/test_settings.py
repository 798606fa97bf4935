"""Settings come from the environment; wrong ones are refused by name."""

import re
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.settings.declared.kinds import ROLES
from config.settings.env import SETTINGS, read_settings, settings_table
from contacts.models.workspace import Role
from tests.factories import ROOT


def read(**environment: str) -> dict[str, object]:
    return read_settings(environment)


def test_an_empty_environment_gives_the_defaults():
    values = read()
    assert values["PORT"] == 8000
    assert values["DEBUG"] is False
    assert values["DATABASE_URL"] is None


def test_an_empty_value_is_the_default():
    assert read(PORT="", DEBUG=" ")["PORT"] == 8000


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PORT", "eighty", "whole number"),
        ("PORT", "70000", "from 1 to 65535"),
        ("DEBUG", "maybe", "true or false"),
        ("DATABASE_URL", "mysql://x/y", "postgresql://"),
        ("REMEMBRANCER_LOG_LEVEL", "LOUD", "one of DEBUG"),
        ("REMEMBRANCER_DATABASE_POOL_TIMEOUT", "soon", "a number"),
        ("REMEMBRANCER_EMBEDDING_PROVIDER", "magic", "local, openai, none"),
        ("REMEMBRANCER_EMBEDDING_URL", "ftp://x", "http"),
        ("ALLOWED_HOSTS", "http://x", "without scheme"),
        ("REMEMBRANCER_OIDC_ROLES", "staff=lab:king", "a role is one of viewer, reviewer"),
        ("REMEMBRANCER_OIDC_ROLES", "staff=lab", "group=workspace:role"),
        ("REMEMBRANCER_SECOND_FACTOR", "true", "off, optional, required"),
        ("ALLOWED_HOSTS", "a.example,bad host", "host names"),
        ("CSRF_TRUSTED_ORIGINS", "memory.example.com", "with their scheme"),
        ("REMEMBRANCER_ADMIN_PASSWORD", "a", "at least 8"),
        ("REMEMBRANCER_SEARCH_ROLE", "App Search", "begin with a letter"),
        ("REMEMBRANCER_SUMMARY_PROVIDER", "magic", "extractive, openai, anthropic"),
        ("REMEMBRANCER_SUMMARY_TIMEOUT", "0", "from 0.05 to 600"),
        ("REMEMBRANCER_RERANKER", "magic", "none, local, http"),
        ("REMEMBRANCER_RERANKER_DEPTH", "1", "from 2 to 100"),
        ("REMEMBRANCER_OIDC_URL", "http://id.example", "https"),
        ("REMEMBRANCER_TRUSTED_PROXIES", "proxy.example", "addresses or networks"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value, why):
    with pytest.raises(ImproperlyConfigured, match=rf"^{name}: .*{why}"):
        read(**{name: value})


def test_a_typo_is_refused_by_name():
    with pytest.raises(ImproperlyConfigured, match=r"^REMEMBRANCER_DATADIR: there is no setting"):
        read(REMEMBRANCER_DATADIR="/tmp/x")


def test_a_wrong_secret_is_not_quoted_back():
    with pytest.raises(ImproperlyConfigured) as caught:
        read(DATABASE_URL="mysql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_the_readme_has_the_table_of_settings():
    assert settings_table() in (ROOT / "README.md").read_text()


def test_every_setting_says_what_it_does():
    for setting in SETTINGS:
        assert setting.help.endswith("."), setting.name


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *code.split()],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.prod",
    "DATABASE_URL": "postgresql://app_rw:x@db.example/remembrancer",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
    "ALLOWED_HOSTS": "memory.example",
    "REMEMBRANCER_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
}


def test_the_deployment_check_is_clean_in_production_settings(tmp_path):
    done = run(
        "manage.py check --deploy --fail-level WARNING",
        **PRODUCTION,
        REMEMBRANCER_DATA_DIR=str(tmp_path),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout


COOKIES = (
    "from django.conf import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE)"
)


@pytest.mark.parametrize(
    ("address", "secure"), [("https://memory.example", "True"), ("http://localhost:8000", "False")]
)
def test_cookies_are_for_https_alone_where_people_come_by_it(tmp_path, address, secure):
    done = subprocess.run(
        [sys.executable, "-c", COOKIES],
        cwd=ROOT,
        env={
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
            "REMEMBRANCER_PUBLIC_URL": address,
            "REMEMBRANCER_DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [secure, secure]


def test_production_refuses_the_embedded_database_unless_it_is_meant(tmp_path):
    environment = {k: v for k, v in PRODUCTION.items() if k != "DATABASE_URL"}
    environment["REMEMBRANCER_DATA_DIR"] = str(tmp_path)
    refused = run("manage.py check", **environment)
    assert refused.returncode != 0
    assert "DATABASE_URL" in refused.stderr
    meant = run("manage.py check", **environment, REMEMBRANCER_SINGLE_NODE="true")
    assert meant.returncode == 0, meant.stderr


def test_an_owner_without_the_login_that_serves_is_refused(tmp_path):
    owner = "postgresql://app_owner:x@db.example/remembrancer"
    done = run("manage.py check", REMEMBRANCER_DATA_DIR=str(tmp_path), DATABASE_OWNER_URL=owner)
    assert done.returncode != 0
    assert "DATABASE_OWNER_URL: given without DATABASE_URL" in done.stderr


def test_a_database_of_ones_own_needs_a_secret_key(tmp_path):
    environment = {k: v for k, v in PRODUCTION.items() if k != "SECRET_KEY"}
    done = run("manage.py check", **environment, REMEMBRANCER_DATA_DIR=str(tmp_path))
    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr


def test_a_model_that_summarises_needs_an_address(tmp_path):
    environment = {**PRODUCTION, "REMEMBRANCER_DATA_DIR": str(tmp_path)}
    done = run("manage.py check", **environment, REMEMBRANCER_SUMMARY_PROVIDER="anthropic")
    assert done.returncode != 0
    assert "REMEMBRANCER_SUMMARY_URL and REMEMBRANCER_SUMMARY_MODEL" in done.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"REMEMBRANCER_EXTRACT_PROVIDER": "openai"}, "REMEMBRANCER_EXTRACT_URL and"),
        ({"REMEMBRANCER_EXTRACT_PHRASES": "/dev/null"}, "REMEMBRANCER_EXTRACT_PHRASES: is no JSON"),
        ({"REMEMBRANCER_RERANKER": "http"}, "REMEMBRANCER_RERANKER_URL: needed with"),
        ({"REMEMBRANCER_RERANKER": "local"}, "REMEMBRANCER_RERANKER_PATH: .*got nothing"),
        (
            {"REMEMBRANCER_RERANKER": "local", "REMEMBRANCER_RERANKER_PATH": "/nowhere"},
            "REMEMBRANCER_RERANKER_PATH: with REMEMBRANCER_RERANKER=local it must be a folder with "
            r"tokenizer\.json and model\.onnx or onnx/model\.onnx \(got /nowhere\)$",
        ),
    ],
)
def test_what_is_nowhere_or_wrong_is_refused_at_the_start(tmp_path, environment, said):
    place = {**PRODUCTION, "REMEMBRANCER_DATA_DIR": str(tmp_path)}
    done = run("manage.py check", **place, **environment)
    assert done.returncode != 0
    assert re.search(said, done.stderr.strip().splitlines()[-1]), done.stderr


def test_groups_may_give_the_roles_there_are():
    assert list(ROLES) == Role.values
    said = {"REMEMBRANCER_OIDC_ROLES": "cn=ops, dc=x = lab:operator"}
    with pytest.raises(ImproperlyConfigured):
        read_settings(said)
    said = {"REMEMBRANCER_OIDC_ROLES": "cn=ops = lab:operator, all=lab:viewer"}
    assert read_settings(said)["REMEMBRANCER_OIDC_ROLES"] == [
        ("cn=ops", "lab", "operator"),
        ("all", "lab", "viewer"),
    ]
