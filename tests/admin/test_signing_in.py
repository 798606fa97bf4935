"""Signing in: guessing is slow, says nothing, and keeps nobody out for ever."""

import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db.models import F
from django.test import Client, RequestFactory

from config.lib.scope import workspace_scope
from config.settings.declared.kinds import networks
from config.settings.declared.signin import SIGN_IN
from config.signin import address, checks, guard
from contacts.services.workspaces import invite_person
from tests.admin.conftest import person
from tests.conftest import TemporaryUrls
from tests.factories import ALICE, make_workspace
from tests.gunicorn import WebServer

PASSWORD = "a long password"
LOGIN = "/admin/login/"
HERE, THERE = "192.0.2.1", "198.51.100.7"


def sign_in(username: str, password: str = PASSWORD, at: str = HERE, **more: Any) -> Any:
    """From a browser that was never here."""
    sent = {"username": username, "password": password}
    return Client(REMOTE_ADDR=at).post(LOGIN, sent, **more)


def fail(times: int, username: str = "alice", at: str = HERE, **more: Any) -> None:
    for _ in range(times):
        assert sign_in(username, "wrong", at, **more).status_code == 200


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def time_passes() -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - guard.WAIT)


@pytest.fixture
def alice(workspace):
    return person("alice", (workspace, "owner"))


def said(answer: Any) -> str:
    """The page without what differs in every answer."""
    text = answer.content.decode()
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)
    return re.sub(r'value="(alice|nobody|off|helper)"', "", text)


class CountingHasher(MD5PasswordHasher):
    algorithm = "counting"
    worked = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).worked += 1
        return super().encode(password, salt)


@pytest.fixture
def counting(settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    return CountingHasher


def test_unknown_wrong_and_switched_off_look_and_cost_the_same(db, counting):
    workspace = make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    off = person("off", (workspace, "owner"))
    get_user_model().objects.filter(pk=off.pk).update(is_active=False)
    helper = person("helper", (workspace, "owner"))
    get_user_model().objects.filter(pk=helper.pk).update(is_staff=False)
    pages, work = set(), set()
    for name, password in (("nobody", "wrong"), ("alice", "wrong"), ("off", PASSWORD),
                           ("helper", PASSWORD)):  # fmt: skip
        counting.worked = 0
        answer = sign_in(name, password)
        assert answer.status_code == 200
        pages.add(said(answer))
        work.add(counting.worked)
    assert len(pages) == 1
    assert work == {1}


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_after_five_failures_one_waits(alice, name):
    fail(guard.PAIR - 1, name)
    for password in ("wrong", PASSWORD):
        answer = sign_in(name, password)
        assert answer.status_code == 429
        assert answer["Retry-After"] == "900"
        assert "Too many attempts. Wait 15 minutes" in answer.content.decode()
        assert 'id="login-form"' in answer.content.decode()
    assert is_in(sign_in("alice", at=THERE))


def test_the_wait_ends_whoever_tries_meanwhile(alice):
    fail(guard.PAIR - 1)
    for _ in range(10):
        assert sign_in("alice", "wrong").status_code == 429
    assert AccessAttempt.objects.get().failures_since_start == guard.PAIR
    time_passes()
    assert is_in(sign_in("alice"))


def test_an_address_that_tries_many_names_waits_for_all_of_them(alice):
    for n in range(guard.ADDRESS - 1):
        fail(1, f"name-{n}")
    # Coming in oneself in between takes none of it back.
    assert is_in(sign_in("alice"))
    assert sign_in("another", "wrong").status_code == 429
    assert sign_in("alice").status_code == 429
    assert is_in(sign_in("alice", at=THERE))


def test_coming_in_takes_ones_own_failures_back(alice):
    for _ in range(3):
        fail(guard.PAIR - 1)
        assert is_in(sign_in("alice"))


def test_many_strangers_slow_a_name_down_but_not_where_its_person_was_before(alice):
    assert is_in(sign_in("alice", at=HERE))
    for n in range(guard.NAME - 1):
        fail(1, at=f"203.0.113.{n}")
    assert sign_in("alice", "wrong", "203.0.113.200").status_code == 429
    assert sign_in("alice", at=THERE).status_code == 429
    assert is_in(sign_in("alice", at=HERE))
    fail(guard.PAIR - 1, at=HERE)
    assert sign_in("alice", "wrong", HERE).status_code == 429


def test_another_browser_name_or_header_is_no_other_address(alice):
    for n in range(guard.PAIR - 1):
        fail(1, headers={"user-agent": f"browser {n}", "x-forwarded-for": f"203.0.113.{n}"})
    answer = sign_in("alice", "wrong", headers={"x-forwarded-for": "203.0.113.99"})
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "203.0.113.5, 10.1.2.3", "203.0.113.5"),
        ("127.0.0.1", "203.0.113.5, nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::ffff:127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        ("", "203.0.113.5", "0.0.0.0"),
    ],
)
def test_which_address_counts(settings, peer, forwarded, found):
    env = type("Env", (), {"list": lambda self, name: ["127.0.0.1", "10.0.0.0/8"]})()
    settings.TRUSTED_PROXIES = networks(env, SIGN_IN[0].name)
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    assert address.client_address(request) == found


def test_a_deployment_without_its_proxys_name_is_told(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    (warning,) = checks.check_proxies(None)
    assert "REMEMBRANCER_TRUSTED_PROXIES" in warning.msg
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert checks.check_proxies(None) == []


def test_no_password_is_kept_of_an_attempt(alice):
    fail(2, at=HERE)
    for values in AccessAttempt.objects.values():
        kept = str(values)
        assert "wrong" not in kept
        assert not re.search(r"csrfmiddlewaretoken=(?!\*)", kept)


def test_the_session_is_another_after_signing_in_and_gone_after_signing_out(alice):
    browser = Client()
    browser.get(LOGIN)
    session = browser.session
    session["before"] = True
    session.save()
    browser.cookies["remembrancer_session"] = session.session_key
    assert is_in(browser.post(LOGIN, {"username": "alice", "password": PASSWORD}))
    inside = browser.session.session_key
    assert inside != session.session_key
    assert browser.get("/admin/").status_code == 200
    browser.post("/admin/logout/")
    stale = Client()
    for old in (session.session_key, inside):
        stale.cookies["remembrancer_session"] = old
        assert stale.get("/admin/").status_code == 302


@pytest.mark.parametrize("how", ["password", "switched off", "no staff"])
def test_sessions_end_with_the_password_and_with_the_account(alice, how):
    browser = Client()
    browser.force_login(alice)
    assert browser.get("/admin/").status_code == 200
    if how == "password":
        alice.set_password("another long password")
    elif how == "switched off":
        alice.is_active = False
    else:
        alice.is_staff = False
    alice.save()
    answer = browser.get("/admin/")
    assert answer.status_code == 302
    assert answer["Location"].startswith(LOGIN)


def test_who_changes_the_password_stays_in_and_the_others_are_out(alice):
    here, there = Client(), Client()
    for browser in (here, there):
        browser.force_login(alice)
    new = "quite another password"
    sent = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert is_in(here.post("/admin/password_change/", sent))
    assert here.get("/admin/").status_code == 200
    assert there.get("/admin/").status_code == 302


def test_scripts_and_other_sites_do_not_get_the_session_cookie(alice):
    cookie = sign_in("alice").cookies["remembrancer_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


@pytest.mark.parametrize(
    "path", ["//evil.example/", "https://evil.example/", "javascript:alert(1)"]
)
def test_signing_in_leads_nowhere_else(alice, path):
    answer = Client().post(
        f"{LOGIN}?{urlencode({'next': path})}",
        {"username": "alice", "password": PASSWORD, "next": path},
    )
    assert answer["Location"] == "/admin/"


def test_an_invitation_is_no_way_around_it(alice, workspace):
    get_user_model().objects.filter(pk=alice.pk).update(username="alice@example.org")
    other = make_workspace("elsewhere")
    with workspace_scope(other.id):
        _, link = invite_person(actor=ALICE, email="alice@example.org")

    def join(password: str) -> Any:
        sent = {"password": password, "again": password}
        return Client(REMOTE_ADDR=HERE).post(f"/invite/{link}", sent)

    for _ in range(guard.PAIR - 1):
        assert join("wrong").status_code == 422
    for password in ("wrong", PASSWORD):
        answer = join(password)
        assert answer.status_code == 429
        assert "Too many attempts" in answer.content.decode()
    assert sign_in("alice@example.org").status_code == 429
    time_passes()
    assert is_in(join(PASSWORD))


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_processes_count_together(database_server: TemporaryUrls):
    person("alice", (make_workspace("greenhouse"), "owner"))
    server = WebServer(database_server)
    server.environment["REMEMBRANCER_WEB_WORKERS"] = "2"
    server.start()
    opener = build_opener(_Stay())

    def post(password: str) -> int:
        page = opener.open(server.url + LOGIN)
        cookie = SimpleCookie(page.headers["Set-Cookie"])["remembrancer_csrf"].value
        sent = {"username": "alice", "password": password, "csrfmiddlewaretoken": cookie}
        headers = {"Cookie": f"remembrancer_csrf={cookie}"}
        try:
            request = Request(server.url + LOGIN, urlencode(sent).encode(), headers)
            return int(opener.open(request).status)
        except OSError as error:
            return int(error.code)  # type: ignore[attr-defined]

    try:
        answers = [post("wrong") for _ in range(12)]
    finally:
        server.kill()
    assert answers == [200] * (guard.PAIR - 1) + [429] * (12 - guard.PAIR + 1)
