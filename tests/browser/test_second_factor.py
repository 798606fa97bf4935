"""A phone is set up, its code and a recovery code open, in a real browser."""

import time

import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Page, expect

from tests import factories
from tests.admin.conftest import person
from tests.browser.conftest import Visit, sign_in

pytestmark = pytest.mark.slow
PASSWORD = "a long password"


def code_of(secret: str, step: int = 0) -> str:
    counter = int(time.time()) // 30 + step
    return totp.format_hotp_value(totp.hotp_value(secret, counter))


def leave(page: Page) -> None:
    page.evaluate("document.getElementById('logout-form').submit()")
    page.wait_for_url("**/admin/logout/")


def give_password(visit: Visit) -> None:
    visit.open("/admin/login/")
    visit.page.fill("#id_username", "alice")
    visit.page.fill("#id_password", PASSWORD)
    visit.page.click("#login-form button[type=submit]")
    visit.page.wait_for_url("**/second-factor/code/")
    visit.page.get_by_label("Code").focus()


def test_a_phone_is_set_up_and_opens(visit: Visit, transactional_db: None, settings) -> None:
    settings.SECOND_FACTOR = "optional"
    person("alice", (factories.make_workspace("greenhouse"), "owner"))
    page = visit.page
    sign_in(visit, "alice", PASSWORD)
    visit.open("/admin/second-factor/")
    drawn = page.locator(".rm-qr").evaluate("image => image.complete && image.naturalWidth")
    assert drawn > 0
    secret = page.locator("#factor-secret").inner_text().replace(" ", "")
    page.get_by_label("The code that it shows").fill(code_of(secret))
    page.keyboard.press("Enter")
    codes = page.locator("#rm-secret").inner_text().split()
    assert len(codes) == 10
    leave(page)
    give_password(visit)
    # The code of now was used; the one of the next half minute is let in as well.
    page.keyboard.type(code_of(secret, 1))
    page.keyboard.press("Enter")
    page.wait_for_url(visit.base + "/admin/")
    leave(page)
    give_password(visit)
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url(visit.base + "/admin/")
    leave(page)
    give_password(visit)
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That code is not right, or was used before.")
    assert visit.complaints == []
