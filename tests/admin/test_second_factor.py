"""The second factor: set up, asked for, required, lost; and where one is signed in."""

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from config.lib.scope import workspace_scope
from config.signin import entry, session, whereabouts
from contacts.models import Membership, Revision, Workspace
from contacts.services import factors
from contacts.services.workspaces import invite_person
from contacts.tasks import clear_sign_ins
from tests.admin.conftest import person, signed_in
from tests.admin.pages import url
from tests.factories import ALICE, make_workspace

PASSWORD = "a long password"
LOGIN, CODE, OWN = "/admin/login/", "/admin/second-factor/code/", "/admin/second-factor/"
SIGN_INS = "/admin/sign-ins/"
HERE = "192.0.2.1"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def _asked(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for, and time stands still: a code is of the half minute in which it is made."""
    settings.SECOND_FACTOR = "optional"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture
def alice(workspace: Workspace) -> Any:
    return person("alice", (workspace, "owner"))


def code_of(secret: str, step: int = 0) -> str:
    """What a phone that has the secret shows now, or `step` half minutes from now."""
    counter = int(time.time()) // 30 + step
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def wrong_for(secret: str) -> str:
    right = {code_of(secret, step) for step in (-2, -1, 0, 1, 2)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


def give_password(name: str = "alice", **more: Any) -> tuple[Client, Any]:
    browser = Client(REMOTE_ADDR=HERE)
    sent = {"username": name, "password": PASSWORD}
    return browser, browser.post(LOGIN, sent, **more)


def set_up(browser: Client) -> tuple[str, list[str]]:
    """(secret, recovery codes), as a person does it on the page."""
    page = browser.get(OWN).content.decode()
    secret = re.search(r'id="factor-secret"[^>]*>([A-Z2-7 ]+)<', page)[1].replace(" ", "")  # type: ignore[index]
    # The code of the step before, so that the one of now is left for signing in.
    answer = browser.post(OWN, {"act": "set_up", "code": code_of(secret, -1)})
    assert answer.status_code == 200, answer
    shown = re.search(r'id="rm-secret"[^>]*>([\d\s]+)<', answer.content.decode())
    assert shown is not None
    return secret, shown[1].split()


@pytest.fixture
def known(alice: Any) -> tuple[str, list[str]]:
    browser, _ = give_password()
    return set_up(browser)


def is_in(browser: Client) -> bool:
    return browser.get("/admin/").status_code == 200


def test_it_is_set_up_and_asked_for_from_then_on(workspace, known):
    secret, codes = known
    assert len(codes) == 10
    browser, answer = give_password()
    assert answer["Location"] == CODE
    assert not is_in(browser)
    before = browser.session.session_key
    assert 'autocomplete="one-time-code"' in browser.get(CODE).content.decode()
    answer = browser.post(CODE, {"code": code_of(secret)})
    assert answer["Location"] == "/admin/"
    assert is_in(browser)
    assert browser.session.session_key != before
    with workspace_scope(workspace.id):
        (made,) = Revision.objects.filter(action="set_up_factor")
        assert (made.actor_label, made.model) == ("alice", "contacts.membership")


def test_a_code_opens_once(known):
    secret, _ = known
    now = code_of(secret)
    browser, _ = give_password()
    assert browser.post(CODE, {"code": now}).status_code == 302
    again, _ = give_password()
    answer = again.post(CODE, {"code": now})
    assert answer.status_code == 200
    assert "not right, or was used before" in answer.content.decode()
    assert not is_in(again)


def test_a_recovery_code_opens_once_and_is_nowhere_to_be_read(known):
    _, codes = known
    browser, _ = give_password()
    assert browser.post(CODE, {"code": f" {codes[3]} "}).status_code == 302
    page = browser.get(OWN).content.decode()
    assert "9 recovery codes left" in page
    assert not any(code in page for code in codes)
    again, _ = give_password()
    assert again.post(CODE, {"code": codes[3]}).status_code == 200
    assert again.post(CODE, {"code": codes[4]}).status_code == 302


def test_no_secret_lies_open_in_the_database(known, settings, monkeypatch):
    secret, codes = known
    kept = str(list(Authenticator.objects.values()))
    assert secret not in kept
    assert not any(code in kept for code in codes)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 50
    assert factors.prove(user=get_user_model().objects.get(username="alice"), code=code_of(secret))
    settings.SECRET_KEY_FALLBACKS = []
    # The key is gone: nothing opens, also not what an empty seed would give.
    guessable = RecoveryCodes(Authenticator(data={"seed": "", "used_mask": 0}))
    with monkeypatch.context() as patched:
        patched.setattr("allauth.mfa.recovery_codes.internal.auth.decrypt", str)
        guessed = guessable.generate_codes()
    browser, _ = give_password()
    for code in (code_of(secret, 1), codes[0], guessed[0]):
        assert browser.post(CODE, {"code": code}).status_code == 200
    assert not is_in(browser)


def test_after_five_wrong_codes_all_wait_wherever_they_are(known, monkeypatch):
    secret, codes = known
    for n in range(factors.WRONG):
        browser = Client(REMOTE_ADDR=f"203.0.113.{n}")
        browser.post(LOGIN, {"username": "alice", "password": PASSWORD})
        assert browser.post(CODE, {"code": wrong_for(secret)}).status_code == 200
    browser, _ = give_password()
    for right in (code_of(secret), codes[0]):
        answer = browser.post(CODE, {"code": right})
        assert (answer.status_code, answer["Retry-After"]) == (429, "900")
        assert "Too many attempts" in answer.content.decode()
    later = time.time() + factors.WAIT.total_seconds() + 1
    monkeypatch.setattr(time, "time", lambda: later)
    browser, _ = give_password()
    assert browser.post(CODE, {"code": code_of(secret)}).status_code == 302


def test_without_the_password_there_is_no_page_for_the_code(known, alice):
    secret, _ = known
    stranger = Client()
    for answer in (stranger.get(CODE), stranger.post(CODE, {"code": code_of(secret)})):
        assert answer["Location"] == LOGIN
    browser, _ = give_password()
    alice.refresh_from_db()
    alice.set_password("quite another password")
    alice.save()
    assert browser.post(CODE, {"code": code_of(secret)})["Location"] == LOGIN
    assert not is_in(browser)


def test_the_code_may_not_take_for_ever(known, monkeypatch):
    secret, _ = known
    browser, _ = give_password()
    later = time.time() + entry.PENDING_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert browser.post(CODE, {"code": code_of(secret)})["Location"] == LOGIN


def test_an_invitation_is_no_way_around_it(known):
    get_user_model().objects.filter(username="alice").update(username="alice@example.org")
    with workspace_scope(make_workspace("elsewhere").id):
        _, link = invite_person(actor=ALICE, email="alice@example.org")
    browser = Client()
    answer = browser.post(f"/invite/{link}", {"password": PASSWORD, "again": PASSWORD})
    assert answer["Location"] == CODE
    assert not is_in(browser)


def test_one_goes_where_one_wanted_and_nowhere_else(known):
    secret, codes = known
    wanted = "/admin/contacts/contact/"
    browser, _ = give_password(query_params={"next": wanted})
    assert browser.post(CODE, {"code": code_of(secret)})["Location"] == wanted
    browser, _ = give_password(query_params={"next": "https://evil.example/"})
    assert browser.post(CODE, {"code": codes[0]})["Location"] == "/admin/"


def test_setting_it_up_signs_the_others_out_and_turns_the_session(alice):
    other = signed_in(alice)
    browser, _ = give_password()
    before = browser.session.session_key
    set_up(browser)
    assert browser.session.session_key != before
    assert is_in(browser)
    assert not is_in(other)


def test_a_session_left_open_is_asked_for_the_password(alice):
    browser = signed_in(alice)
    page = browser.get(OWN).content.decode()
    assert 'id="password-set_up"' in page
    secret = browser.session[session.SECRET]
    sent = {"act": "set_up", "code": code_of(secret)}
    assert "not your password" in browser.post(OWN, sent).content.decode()
    assert factors.factor_of(alice) is None
    answer = browser.post(OWN, sent | {"password": PASSWORD})
    assert "Your recovery codes" in answer.content.decode()


def test_a_wrong_first_code_sets_nothing_up(alice):
    browser, _ = give_password()
    browser.get(OWN)
    sent = {"act": "set_up", "code": wrong_for(browser.session[session.SECRET])}
    assert "not the code of now" in browser.post(OWN, sent).content.decode()
    assert factors.factor_of(alice) is None


@pytest.mark.parametrize("act", ["remove", "codes"])
def test_it_is_changed_by_the_password_alone(known, alice, act):
    secret, codes = known
    browser, _ = give_password()
    browser.post(CODE, {"code": code_of(secret)})
    for password in ("", "wrong"):
        answer = browser.post(OWN, {"act": act, "password": password})
        assert "not your password" in answer.content.decode()
    answer = browser.post(OWN, {"act": act, "password": PASSWORD})
    if act == "remove":
        assert answer.status_code == 302
        assert not Authenticator.objects.exists()
        assert give_password()[1]["Location"] == "/admin/"
    else:
        again, _ = give_password()
        assert again.post(CODE, {"code": codes[0]}).status_code == 200
        renewed = re.findall(r"\b\d{8}\b", answer.content.decode())
        assert again.post(CODE, {"code": renewed[0]}).status_code == 302


def test_guessing_the_password_there_is_as_slow_as_at_sign_in(known):
    secret, _ = known
    browser, _ = give_password()
    browser.post(CODE, {"code": code_of(secret)})
    answers = [browser.post(OWN, {"act": "remove", "password": "wrong"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert browser.post(OWN, {"act": "remove", "password": PASSWORD}).status_code == 429
    assert Authenticator.objects.exists()


def test_where_it_is_required_one_is_led_to_it_and_to_nothing_else(alice, settings, rows):
    settings.SECOND_FACTOR = "required"
    browser, answer = give_password()
    assert answer["Location"] == "/admin/"
    for path in ("/admin/", "/admin/palette/", "/admin/pings/new/", "/admin/password_change/",
                 SIGN_INS, url(Membership, "changelist")):  # fmt: skip
        assert browser.get(path)["Location"] == OWN, path
        assert browser.post(path)["Location"] == OWN, path
    page = browser.get(OWN).content.decode()
    assert "Set yours up to go on" in page
    assert "nav-sidebar" not in page
    secret, _ = set_up(browser)
    assert is_in(browser)
    # A session of before, or of elsewhere, has to give the code.
    stale = signed_in(alice)
    assert stale.get(OWN)["Location"] == f"{LOGIN}?next={OWN}"
    assert stale.get("/admin/").status_code == 302
    again, _ = give_password()
    assert again.post(CODE, {"code": code_of(secret)})["Location"] == "/admin/"
    # Removed, it is to be set up again.
    again.post(OWN, {"act": "remove", "password": PASSWORD})
    assert again.get("/admin/")["Location"] == OWN


def test_by_single_sign_on_the_provider_asks(alice, settings):
    settings.SECOND_FACTOR = "required"
    browser = signed_in(alice)
    held = browser.session
    held[session.BY_SSO] = True
    held.save()
    assert is_in(browser)
    alice.set_unusable_password()
    alice.save()
    browser.force_login(alice)
    held = browser.session
    held[session.BY_SSO] = True
    held.save()
    assert "single sign-on" in browser.get(OWN).content.decode()


def test_switched_off_it_is_not_asked_for(known, settings):
    settings.SECOND_FACTOR = "off"
    browser, answer = give_password()
    assert answer["Location"] == "/admin/"
    assert browser.get(OWN).status_code == 404
    assert OWN not in browser.get("/admin/").content.decode()


def test_an_owner_removes_it_for_a_member_who_lost_the_phone(known, workspace):
    olga = signed_in(person("olga", (workspace, "owner")))
    with workspace_scope(workspace.id):
        member = Membership.objects.get(user__username="alice")
    act = url(Membership, "do", member.pk, "remove-factor")
    assert "/do/remove-factor/" in olga.get(url(Membership, "change", member.pk)).content.decode()
    assert olga.post(act, {"_reason": "her phone fell into the pond"}).status_code == 302
    assert not Authenticator.objects.exists()
    with workspace_scope(workspace.id):
        revision = Revision.objects.get(action="remove_factor")
        assert (revision.object_id, revision.actor_label) == (member.pk, "olga")
        assert revision.reason == "her phone fell into the pond"
    history = olga.get(url(Membership, "history", member.pk)).content.decode()
    assert "her phone fell into the pond" in history
    assert give_password()[1]["Location"] == "/admin/"


@pytest.mark.parametrize("who", ["oneself", "in two workspaces", "superuser"])
def test_an_owner_removes_no_factor_that_is_not_theirs_to_remove(known, workspace, who):
    secret, _ = known
    users = get_user_model().objects
    if who == "oneself":
        owner, _ = give_password()
        owner.post(CODE, {"code": code_of(secret)})
    else:
        owner = signed_in(person("olga", (workspace, "owner")))
    if who == "in two workspaces":
        other = make_workspace("elsewhere")
        with workspace_scope(other.id):
            Membership(user=users.get(username="alice"), role="viewer").save(force_insert=True)
    if who == "superuser":
        users.filter(username="alice").update(is_superuser=True)
    with workspace_scope(workspace.id):
        member = Membership.objects.get(user__username="alice")
    owner.post(url(Membership, "do", member.pk, "remove-factor"))
    assert Authenticator.objects.exists()


def test_a_superuser_removes_it_and_it_is_recorded_in_each_workspace(known, workspace, alice):
    other = make_workspace("elsewhere")
    with workspace_scope(other.id):
        Membership(user=alice, role="viewer").save(force_insert=True)
    root = signed_in(person("root", (workspace, "viewer"), superuser=True))
    page = f"/admin/auth/user/{alice.pk}/second-factor/"
    assert page in root.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()
    assert "by the password alone" in root.get(page).content.decode()
    assert root.post(page).status_code == 302
    assert not Authenticator.objects.exists()
    for one in (workspace, other):
        with workspace_scope(one.id):
            assert Revision.objects.get(action="remove_factor").actor_label == "root"
    assert root.post(page).status_code == 409
    assert signed_in(alice).post(page).status_code == 403


def test_the_command_removes_it(known, workspace, capsys):
    call_command("removefactor", "alice", reason="lost")
    assert not Authenticator.objects.exists()
    with workspace_scope(workspace.id):
        revision = Revision.objects.get(action="remove_factor")
        assert (revision.channel, revision.reason) == ("shell", "lost")
    for name in ("alice", "nobody"):
        with pytest.raises(CommandError):
            call_command("removefactor", name)


def test_where_one_is_signed_in_is_shown_and_ended(alice):
    here, _ = give_password(headers={"user-agent": FIREFOX})
    there = Client(REMOTE_ADDR="198.51.100.7")
    there.force_login(alice)
    there.get("/admin/")
    stranger = signed_in(person("charlie", (make_workspace("elsewhere"), "owner")))
    page = here.get(SIGN_INS).content.decode()
    assert "Firefox on Linux" in page
    assert page.count("This one") == 1
    assert page.count('name="end"') == 2
    theirs = UserSession.objects.get(session_key=stranger.session.session_key)
    here.post(SIGN_INS, {"end": str(theirs.pk)})
    assert is_in(stranger)
    row = UserSession.objects.get(session_key=there.session.session_key)
    here.post(SIGN_INS, {"end": str(row.pk)})
    assert not is_in(there)
    assert is_in(here)
    there.force_login(alice)
    here.post(SIGN_INS, {"end": "others"})
    assert not is_in(there)
    assert is_in(here)
    assert is_in(stranger)
    here.post("/admin/logout/")
    assert not UserSession.objects.filter(user=alice).exists()


def test_last_seen_is_written_now_and_then(alice, monkeypatch):
    browser = signed_in(alice)
    browser.get("/admin/jsi18n/")
    key = browser.session.session_key
    first = UserSession.objects.get(session_key=key)
    browser.get(SIGN_INS)
    assert UserSession.objects.get(session_key=key).last_seen_at == first.last_seen_at
    later = time.time() + whereabouts.EVERY_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    browser.get("/admin/", REMOTE_ADDR="203.0.113.9")
    assert UserSession.objects.get(session_key=key).ip == "203.0.113.9"


def test_a_sign_in_ends_when_it_should_also_if_it_is_used(alice):
    browser = signed_in(alice)
    ends = browser.session.get_expiry_date()
    held = browser.session
    held["something"] = "written"
    held.save()
    assert is_in(browser)
    assert browser.session.get_expiry_date() == ends
    Session.objects.filter(session_key=browser.session.session_key).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    other = signed_in(alice)
    clear_sign_ins(0)
    assert [row.session_key for row in UserSession.objects.all()] == [other.session.session_key]
    assert Session.objects.count() == 1


def test_a_changed_password_leaves_this_sign_in_alone(alice):
    here, _ = give_password()
    signed_in(alice)
    new = "quite another password"
    sent = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post("/admin/password_change/", sent).status_code == 302
    page = here.get(SIGN_INS).content.decode()
    assert page.count("This one") == 1
    assert 'name="end"' not in page


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
         "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
         "Safari on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", "Unknown device"),
    ],
)  # fmt: skip
def test_what_a_browser_says_of_itself(said, shown):
    assert whereabouts.device(said) == shown
