"""Single sign-on, against a provider of ours and a server on a database of its own, in which the
applications that it needs are installed."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.test import Client

from config.embedded.temporary import TemporaryUrls, temporary_server
from tests.commands import manage, well
from tests.gunicorn import WebServer
from tests.oidc import CLIENT, SECRET, Provider

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PASSWORD = "a long password"
ADA = {"sub": "1", "email": "Ada@example.org", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def urls() -> Iterator[TemporaryUrls]:
    with temporary_server() as urls:
        yield urls


class Site:
    """The server, and its command line."""

    def __init__(self, urls: TemporaryUrls, provider: Provider) -> None:
        self.urls = urls
        settings = {
            "DATABASE_OWNER_URL": urls.owner,
            "REMEMBRANCER_ADMIN_PASSWORD": PASSWORD,
            "REMEMBRANCER_OIDC_URL": provider.url,
            "REMEMBRANCER_OIDC_CLIENT_ID": CLIENT,
            "REMEMBRANCER_OIDC_CLIENT_SECRET": SECRET,
            "REMEMBRANCER_OIDC_NAME": "Greenhouse ID",
            "REMEMBRANCER_OIDC_ROLES": "/ops = default:operator, /look=default:viewer, "
            "/bosses=lab:owner, /nowhere=missing:owner",
            # Of those who come with a password.
            "REMEMBRANCER_SECOND_FACTOR": "required",
        }
        self.server = WebServer(urls, name="remembrancer", **settings)
        self.url = self.server.url

    def invite(self, email: str, role: str = "operator") -> str:
        return self.server.manage("invite", email, "--role", role).strip()

    def rows(self, sql: str) -> list[Any]:
        with psycopg.connect(self.urls.superuser, dbname="remembrancer") as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def site(urls: TemporaryUrls, provider: Provider) -> Iterator[Site]:
    site = Site(urls, provider)
    site.server.manage("migrate", "--verbosity", "0")
    site.server.manage("bootstrap")
    site.server.start()
    yield site
    site.server.kill()


def browser(site: Site) -> httpx.Client:
    return httpx.Client(base_url=site.url, timeout=60)


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found is not None
    return found[1]


def go(client: httpx.Client, page: str = "/admin/login/", **fields: str) -> httpx.Response:
    """Press the button on `page`, go to the provider and come back: what is answered then."""
    sent = {"csrfmiddlewaretoken": token_of(client.get(page)), **fields}
    going = client.post("/sso/oidc/start/", data=sent)
    assert going.status_code == 200
    there = re.search(r'url=(http[^"]+)"', going.text)
    assert there is not None
    back = httpx.get(there[1].replace("&amp;", "&"))
    return client.get(back.headers["Location"])


def is_in(client: httpx.Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_who_nobody_invited_does_not_get_in(site, provider):
    provider.claims = {"sub": "9", "email": "stranger@example.org", "email_verified": True}
    with browser(site) as client:
        assert "Continue with Greenhouse ID" in client.get("/admin/login/").text
        answer = go(client)
        assert answer.status_code == 403
        assert "No account for you here" in answer.text
        assert client.get("/admin/").status_code == 302
    assert site.rows("SELECT 1 FROM auth_user WHERE email = 'stranger@example.org'") == []


@pytest.mark.parametrize("verified", [False, "false", None])
def test_an_address_that_is_not_verified_is_nobodys(site, provider, verified):
    link = site.invite("mallory@example.org")
    provider.claims = {"sub": "8", "email": "mallory@example.org", "email_verified": verified}
    with browser(site) as client:
        answer = go(client, link, invitation=link.rpartition("/")[2])
        assert answer.status_code == 403
        assert "verified" in answer.text
        assert client.get("/admin/").status_code == 302


def test_an_invitation_is_for_its_own_address(site, provider):
    link = site.invite("somebody@example.org")
    provider.claims = {"sub": "7", "email": "else@example.org", "email_verified": True}
    with browser(site) as client:
        answer = go(client, link, invitation=link.rpartition("/")[2])
        assert answer.status_code == 403
        assert "another address" in answer.text
        assert client.get("/admin/").status_code == 302


def test_who_is_invited_joins_and_comes_back_without_the_link(site, provider):
    provider.claims = ADA
    link = site.invite("ada@example.org")
    with browser(site) as client:
        assert "Join with Greenhouse ID" in client.get(link).text
        before = dict(client.cookies)
        answer = go(client, link, invitation=link.rpartition("/")[2])
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
        assert client.cookies["remembrancer_session"] != before.get("remembrancer_session")
        page = client.get("/admin/")
        assert "Operator" in page.text
        assert client.get(link).status_code == 404
    # From then on by the provider's own name for her, whatever her address became.
    provider.claims = {**ADA, "email": "ada@elsewhere.example", "email_verified": False}
    with browser(site) as client:
        answer = go(client, next="/admin/contacts/contact/")
        assert answer.headers["Location"] == "/admin/contacts/contact/"
        assert is_in(client)
    assert len(site.rows("SELECT 1 FROM auth_user WHERE username = 'ada@example.org'")) == 1
    (password,) = site.rows("SELECT password FROM auth_user WHERE username = 'ada@example.org'")
    assert password[0].startswith("!")


def test_an_account_that_is_switched_off_stays_out(site, provider):
    provider.claims = {"sub": "5", "email": "off@example.org", "email_verified": True}
    link = site.invite("off@example.org")
    with browser(site) as client:
        go(client, link, invitation=link.rpartition("/")[2])
        assert is_in(client)
        with psycopg.connect(site.urls.superuser, dbname="remembrancer") as connection:
            connection.execute(
                "UPDATE auth_user SET is_active = false WHERE username = 'off@example.org'"
            )
        assert client.get("/admin/").status_code == 302
        answer = go(client)
        assert answer.status_code == 403
        assert "No account for you here" in answer.text


@pytest.mark.parametrize("what", ["denied", "another's state", "no code of the provider's"])
def test_an_answer_that_is_none_signs_nobody_in(site, provider, what):
    provider.claims = ADA
    with browser(site) as client:
        if what == "denied":
            provider.error = "access_denied"
            answer = go(client)
            provider.error = ""
        else:
            sent = {"csrfmiddlewaretoken": token_of(client.get("/admin/login/"))}
            going = client.post("/sso/oidc/start/", data=sent).text
            state = re.search(r"state=(\w+)", going)
            assert state is not None
            known = state[1] if what == "no code of the provider's" else "x" * 16
            answer = client.get(f"/sso/oidc/callback/?state={known}&code=invented")
        assert answer.status_code == 403
        assert "That did not work" in answer.text
        assert client.get("/admin/").status_code == 302


def memberships(site: Site, email: str) -> set[tuple[str, str, bool]]:
    return set(site.rows(
        "SELECT w.slug, m.role, m.by_group FROM contacts_membership m "
        "JOIN contacts_workspace w ON w.id = m.workspace_id "
        f"JOIN auth_user u ON u.id = m.user_id WHERE u.username = '{email}'"
    ))  # fmt: skip


def come(site: Site, provider: Provider, groups: object, **claims: object) -> int:
    """Sign Lin in, who is in these groups; the status of the start page then."""
    provider.claims = {"sub": "20", "email": "lin@example.org", "email_verified": True, **claims}
    if groups is not None:
        provider.claims["groups"] = groups
    with browser(site) as client:
        go(client)
        return client.get("/admin/").status_code


def test_groups_give_roles_and_take_them_back(site, provider):
    site.server.manage("createworkspace", "lab")
    at = "lin@example.org"
    # An address that nobody verified makes no account, whatever groups it comes with.
    assert come(site, provider, ["/bosses"], sub="21", email_verified=False) == 302
    assert come(site, provider, ["/unknown"]) == 302
    assert site.rows(f"SELECT 1 FROM auth_user WHERE username = '{at}'") == []
    # The highest that the groups give, and only where they give one.
    assert come(site, provider, ["/look", "/ops", "/nowhere"]) == 200
    assert memberships(site, at) == {("default", "operator", True)}
    assert come(site, provider, "/look") == 200
    assert memberships(site, at) == {("default", "viewer", True)}
    assert come(site, provider, ["/bosses"]) == 200
    assert memberships(site, at) == {("lab", "owner", True)}
    # The last owner stays: a workspace without one is nobody's.
    assert come(site, provider, []) == 200
    assert memberships(site, at) == {("lab", "owner", True)}
    with psycopg.connect(site.urls.superuser, dbname="remembrancer") as connection:
        connection.execute("UPDATE contacts_membership SET role = 'viewer' WHERE by_group")
    # Without any group they are known and in nothing: a claim that is missing names none.
    assert come(site, provider, None) == 403
    assert memberships(site, at) == set()
    reasons = {row[0] for row in site.rows(
        "SELECT reason FROM contacts_revision WHERE actor_label = 'single sign-on'"
    )}  # fmt: skip
    assert reasons == {"a group of single sign-on gives it", "no group of theirs gives it now"}


def test_a_membership_that_somebody_gave_is_left_alone(site, provider):
    at = "kim@example.org"
    link = site.invite(at, role="viewer")
    provider.claims = {"sub": "30", "email": at, "email_verified": True, "groups": ["/ops"]}
    with browser(site) as client:
        go(client, link, invitation=link.rpartition("/")[2])
        assert is_in(client)
    provider.claims = {**provider.claims, "groups": []}
    with browser(site) as client:
        go(client)
        assert is_in(client)
    assert memberships(site, at) == {("default", "viewer", False)}


def test_it_is_started_by_the_pages_own_form_and_leads_nowhere_else(site, provider):
    provider.claims = {"sub": "4", "email": "grace@example.org", "email_verified": True}
    link = site.invite("grace@example.org")
    with browser(site) as client:
        assert client.get("/sso/oidc/start/").status_code == 405
        assert client.post("/sso/oidc/start/").status_code == 403
        elsewhere = "https://evil.example/"
        answer = go(client, link, invitation=link.rpartition("/")[2], next=elsewhere)
        assert answer.headers["Location"] == "/admin/"


def test_the_password_still_opens(site):
    with browser(site) as client:
        sent = {
            "csrfmiddlewaretoken": token_of(client.get("/admin/login/")),
            "username": "admin", "password": PASSWORD,
        }  # fmt: skip
        assert client.post("/admin/login/", data=sent).status_code == 302
        # The one who came by it was asked nothing; here it is asked.
        assert client.get("/admin/").headers["Location"] == "/admin/second-factor/"


def test_the_database_is_whole_with_it_and_when_it_was_switched_off(site):
    assert "ok" in site.server.manage("verify", "--structure")
    settings = site.server.environment
    without = {name: "" for name in settings if name.startswith("REMEMBRANCER_OIDC_")}
    assert "ok" in well(manage("verify", "--structure", **settings | without))


def test_without_a_provider_there_is_nothing_of_it(client: Client, db: None) -> None:
    assert "Continue with" not in client.get("/admin/login/").content.decode()
    assert client.post("/sso/oidc/start/").status_code == 404
    assert client.get("/sso/oidc/callback/").status_code == 404
