"""Pings leave the page: by real mail and real HTTP, once, with retries and a log."""

import base64
import hashlib
import hmac
import threading
from datetime import timedelta
from email import message_from_bytes, policy

import orjson
import pytest
from aiosmtpd.controller import Controller
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib import clock
from config.lib.scope import workspace_scope
from sessions import tasks_pings
from sessions.channels import http
from sessions.channels.http import TOTAL_SECONDS
from sessions.models import PingDelivery
from sessions.services import ping_deliveries
from tests.api.caller import all_items, made
from tests.api.receiver import Receiver, answer, endless, hanging_up, silent, trickling
from tests.api.test_concurrency import at_once
from tests.factories import ALICE
from tests.unit.ports import free_port

SECRET = "a secret of many characters"


@pytest.fixture(autouse=True)
def _private(settings):
    """The servers of these tests are on the loopback."""
    settings.CHANNELS_PRIVATE = True
    settings.PUBLIC_URL = "https://remember.example.org"


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.close()


class Mailbox:
    """An SMTP server's handler: keeps what comes, or refuses by what it was told."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []
        self.refuse_rcpt = self.refuse_data = ""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refuse_rcpt:
            return self.refuse_rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refuse_data:
            return self.refuse_data
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def mailbox(settings):
    box = Mailbox()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    settings.DEFAULT_FROM_EMAIL = "Remembrancer <pings@example.org>"
    controller = Controller(box, hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    yield box
    controller.stop()


def channel(api, kind, target="", **fields):
    body = {"name": kind, "kind": kind, "target": target, "min_severity": "low", **fields}
    return made(api.post("/ping-channels", body))


def hook(api, receiver, **fields):
    return channel(api, "webhook", receiver.url + "/hook", secret=SECRET, **fields)


def asked(api, **fields):
    return made(api.post("/pings", {"message": "May I deploy?", **fields}))


def log_of(api, ping):
    rows = all_items(api, f"/pings/{ping['id']}/deliveries")
    return {row["channel_name"]: row for row in rows}


def deliver(api, workspace, ping):
    """What the job worker does: the job of each delivery; then the log."""
    for row in log_of(api, ping).values():
        tasks_pings.deliver_ping(str(workspace.id), row["id"])
    return log_of(api, ping)


def make_due(workspace, ping):
    with workspace_scope(workspace.id):
        PingDelivery.objects.filter(ping_id=ping["id"], status="pending").update(
            next_attempt_at=clock.now()
        )


def attempt(api, workspace, ping):
    make_due(workspace, ping)
    (row,) = deliver(api, workspace, ping).values()
    return row


# --- Which channels ---------------------------------------------------------------------------


def test_a_ping_goes_to_enabled_channels_of_its_severity(api):
    for severity in ("urgent", "high", "normal", "low"):
        channel(api, "email", "a@example.org", name=severity, min_severity=severity)
    channel(api, "email", "a@example.org", name="off", enabled=False)
    assert set(log_of(api, asked(api, severity="urgent"))) == {"urgent", "high", "normal", "low"}
    assert set(log_of(api, asked(api, severity="normal"))) == {"normal", "low"}
    assert set(log_of(api, asked(api, severity="low"))) == {"low"}
    again = {"message": "m", "external_id": "once"}
    first, second = (made(api.post("/pings", again)) for _ in range(2))
    assert first == second
    assert len(log_of(api, first)) == 2


@pytest.mark.django_db(transaction=True)
def test_a_job_is_there_after_the_commit_and_the_sweep_finds_what_was_missed(api, workspace):
    channel(api, "email", "a@example.org")
    (row,) = log_of(api, asked(api)).values()

    def jobs():
        return list(ProcrastinateJob.objects.filter(task_name=ping_deliveries.DELIVER_TASK))

    (job,) = jobs()
    assert job.args == {"workspace_id": str(workspace.id), "delivery_id": row["id"]}
    tasks_pings.sweep_pings(0)
    assert len(jobs()) == 1
    ProcrastinateJob.objects.filter(pk=job.pk).update(status="cancelled")
    tasks_pings.sweep_pings(0)
    assert [one.args for one in jobs()] == [job.args, job.args]


# --- Shapes -----------------------------------------------------------------------------------


def test_a_webhook_is_signed_over_id_time_and_body(api, workspace, receiver):
    hook(api, receiver)
    ping = asked(api, severity="high", options=["yes", "no"], conversation_id="c-1")
    (row,) = deliver(api, workspace, ping).values()
    assert (row["status"], row["attempts"], row["error"]) == ("sent", 1, "")
    assert row["next_attempt_at"] is None
    (sent,) = receiver.requests
    head = sent.headers
    assert (sent.path, head["webhook-id"]) == ("/hook", row["id"])
    assert abs(clock.now().timestamp() - int(head["webhook-timestamp"])) < 60
    signed = f"{row['id']}.{head['webhook-timestamp']}.".encode() + sent.body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert head["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    body = orjson.loads(sent.body)
    assert body["type"] == "ping.created"
    data = body["data"]
    assert (data["id"], data["message"], data["severity"]) == (ping["id"], "May I deploy?", "high")
    assert (data["options"], data["agent"]) == (["yes", "no"], "claude-code")
    assert data["url"].startswith("https://remember.example.org/admin/")
    delivered = made(api.get(f"/pings/{ping['id']}"))
    assert delivered["delivered_at"] == row["sent_at"]
    assert delivered["version"] == 1


def test_a_whsec_secret_is_base64(api, workspace, receiver):
    key = bytes(range(32))
    secret = "whsec_" + base64.b64encode(key).decode()
    channel(api, "webhook", receiver.url, secret=secret)
    deliver(api, workspace, asked(api))
    (sent,) = receiver.requests
    signed = f"{sent.headers['webhook-id']}.{sent.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(key, signed + sent.body, hashlib.sha256).digest()
    assert sent.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_ntfy_gets_topic_priority_and_link(api, workspace, receiver):
    channel(api, "ntfy", receiver.url + "/base/my-topic", secret="tk_1")
    deliver(api, workspace, asked(api, severity="urgent", message="é" * 4000))
    (sent,) = receiver.requests
    said = orjson.loads(sent.body)
    assert (sent.path, said["topic"], said["priority"]) == ("/base/", "my-topic", 5)
    assert sent.headers["authorization"] == "Bearer tk_1"
    assert said["tags"] == ["rotating_light"]
    assert said["click"].startswith("https://remember.example.org/admin/")
    assert len(said["message"].encode()) < 4096
    assert said["title"].startswith("claude-code: é")


def test_slack_gets_text_that_cannot_call_everybody(api, workspace, receiver):
    channel(api, "slack", receiver.url + "/services/T/B/x")
    deliver(api, workspace, asked(api, message="<!channel> a & b", options=["<yes>"]))
    text = orjson.loads(receiver.requests[0].body)["text"]
    assert "&lt;!channel&gt; a &amp; b" in text
    assert "&lt;yes&gt;" in text
    assert "<!channel>" not in text
    assert "|Open>" in text


def test_a_mail_arrives_with_one_line_of_subject(api, workspace, mailbox):
    channel(api, "email", "alice@example.org")
    message = "Deploy?\r\nBcc: eve@example.org\r\n\r\nAll tests pass — shall I?"
    ping = asked(api, message=message, severity="high", options=["yes", "no"])
    (row,) = deliver(api, workspace, ping).values()
    assert row["status"] == "sent", row["error"]
    ((to, raw),) = mailbox.mails
    assert to == ["alice@example.org"]
    mail = message_from_bytes(raw, policy=policy.default)
    assert (mail["To"], mail["From"]) == (
        "alice@example.org", "Remembrancer <pings@example.org>",
    )  # fmt: skip
    assert mail["Bcc"] is None
    assert mail["Subject"].strip().startswith("[high] claude-code: Deploy? Bcc: eve@example.org")
    assert mail["Message-ID"] == f"<{row['id']}@example.org>"
    text = mail.get_content()
    assert "All tests pass — shall I?" in text
    assert "- yes" in text
    assert "https://remember.example.org/admin/" in text


# --- What goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answer(500), "answered 500"),
        (answer(404), "answered 404"),
        (hanging_up, "broke before it answered"),
        (silent, "did not answer within"),
        (trickling, "did not answer within"),
    ],
    ids=["500", "404", "hanging up", "silent", "trickling"],
)
def test_a_failed_attempt_is_put_off_and_made_again(
    api, workspace, receiver, monkeypatch, behaviour, error
):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.3)
    hook(api, receiver)
    ping = asked(api)
    receiver.script = [behaviour]
    row = attempt(api, workspace, ping)
    assert (row["status"], row["attempts"]) == ("pending", 1)
    assert error in row["error"]
    assert made(api.get(f"/pings/{ping['id']}"))["delivered_at"] is None
    # Not before its time, whoever asks.
    deliver(api, workspace, ping)
    assert len(receiver.requests) == 1
    row = attempt(api, workspace, ping)
    assert (row["status"], row["attempts"], row["error"]) == ("sent", 2, "")
    assert len({one.headers["webhook-id"] for one in receiver.requests}) == 1


def test_a_body_without_end_is_not_read(api, workspace, receiver):
    hook(api, receiver)
    receiver.script = [endless]
    assert attempt(api, workspace, asked(api))["status"] == "sent"
    assert TOTAL_SECONDS <= 10


def test_a_connection_that_is_refused_is_tried_again(api, workspace):
    channel(api, "webhook", f"http://127.0.0.1:{free_port()}/", secret=SECRET)
    row = attempt(api, workspace, asked(api))
    assert (row["status"], row["error"]) == ("pending", "It cannot be connected to.")


def test_a_name_that_is_none_is_tried_again(api, workspace):
    channel(api, "webhook", "http://nowhere.invalid/", secret=SECRET)
    row = attempt(api, workspace, asked(api))
    assert (row["status"], row["error"]) == (
        "pending", "The name of its host cannot be resolved.",
    )  # fmt: skip


def test_after_the_last_attempt_it_has_failed(api, workspace, receiver):
    hook(api, receiver)
    receiver.always = answer(503)
    ping = asked(api)
    states = [
        attempt(api, workspace, ping)["status"] for _ in range(ping_deliveries.MAX_ATTEMPTS + 1)
    ]
    assert states == ["pending"] * (ping_deliveries.MAX_ATTEMPTS - 1) + ["failed"] * 2
    assert len(receiver.requests) == ping_deliveries.MAX_ATTEMPTS
    (row,) = log_of(api, ping).values()
    assert (row["error"], row["next_attempt_at"]) == ("It answered 503.", None)


@pytest.mark.parametrize("status", [302, 307, 410])
def test_what_another_attempt_would_not_mend_is_not_tried_again(api, workspace, receiver, status):
    hook(api, receiver)
    receiver.script = [answer(status, Location=receiver.url + "/elsewhere")]
    row = attempt(api, workspace, asked(api))
    assert row["status"] == "failed"
    assert str(status) in row["error"]
    assert [one.path for one in receiver.requests] == ["/hook"]


def test_a_private_address_is_refused_at_the_moment_of_sending(api, workspace, receiver, settings):
    hook(api, receiver)
    settings.CHANNELS_PRIVATE = False
    row = attempt(api, workspace, asked(api))
    assert row["status"] == "failed"
    assert "may not reach" in row["error"]
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("asked_for", "least", "most"), [("300", 300, 300), ("9999999", 3600, 3600), ("x", 30, 30)]
)
def test_429_says_how_long_to_wait(api, workspace, receiver, asked_for, least, most):
    hook(api, receiver)
    ping = asked(api)
    receiver.script = [answer(429, Retry_After=asked_for)]
    before = clock.now()
    attempt(api, workspace, ping)
    with workspace_scope(workspace.id):
        wait = PingDelivery.objects.get(ping_id=ping["id"]).next_attempt_at
    assert before + timedelta(seconds=least) <= wait
    assert wait <= clock.now() + timedelta(seconds=most)


def test_retry_after_may_be_a_date():
    moment = clock.now() + timedelta(minutes=10)
    seconds = http._seconds(f"{moment:%a, %d %b %Y %H:%M:%S GMT}")
    assert 500 < seconds <= 600


@pytest.mark.parametrize(
    ("reply", "status"), [("550 no such user", "failed"), ("450 later", "pending")]
)
def test_a_mail_server_that_refuses_the_address(api, workspace, mailbox, reply, status):
    channel(api, "email", "alice@example.org")
    mailbox.refuse_rcpt = reply
    row = attempt(api, workspace, asked(api))
    assert row["status"] == status
    assert reply[:3] in row["error"]


def test_a_mail_server_that_is_busy_or_away(api, workspace, mailbox, settings):
    channel(api, "email", "alice@example.org")
    ping = asked(api)
    mailbox.refuse_data = "451 try again"
    assert attempt(api, workspace, ping)["error"] == "The mail server answered 451."
    there = settings.EMAIL_PORT
    settings.EMAIL_PORT = free_port()
    assert "ConnectionRefusedError" in attempt(api, workspace, ping)["error"]
    settings.EMAIL_PORT, mailbox.refuse_data = there, ""
    assert attempt(api, workspace, ping)["status"] == "sent"


def test_without_a_mail_server_the_log_says_so(api, workspace):
    channel(api, "email", "alice@example.org")
    row = attempt(api, workspace, asked(api))
    assert row["status"] == "failed"
    assert "EMAIL_URL" in row["error"]


def test_what_has_no_point_any_more_is_not_sent(api, workspace, receiver):
    row = hook(api, receiver)
    resolved, deleted, late = asked(api), asked(api), asked(api)
    made(api.post(f"/pings/{resolved['id']}/resolve"))
    assert attempt(api, workspace, resolved)["error"] == "Not sent: the ping is resolved already."
    ids = [one["id"] for one in log_of(api, deleted).values()]
    api.delete(f"/pings/{deleted['id']}", if_match="*")
    tasks_pings.deliver_ping(str(workspace.id), ids[0])
    made(api.patch(f"/ping-channels/{row['id']}", {"enabled": False}, if_match="*"))
    assert "switched off" in attempt(api, workspace, late)["error"]
    assert receiver.requests == []


def test_an_error_names_neither_address_nor_secret(api, workspace, receiver):
    hook(api, receiver)
    receiver.script = [answer(500)]
    error = attempt(api, workspace, asked(api))["error"]
    assert receiver.url not in error
    assert SECRET not in error


# --- Once -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_send_once(api, workspace, receiver):
    hook(api, receiver)
    (row,) = log_of(api, asked(api)).values()
    job = (str(workspace.id), row["id"])
    at_once([lambda: tasks_pings.deliver_ping(*job) or True for _ in range(8)])
    assert len(receiver.requests) == 1
    assert all_items(api, f"/pings/{row['ping_id']}/deliveries")[0]["status"] == "sent"


@pytest.mark.django_db(transaction=True)
def test_while_one_sends_another_does_not_and_a_dead_one_is_taken_over(api, workspace, receiver):
    hook(api, receiver)
    ping = asked(api)
    (row,) = log_of(api, ping).values()
    began, go_on = threading.Event(), threading.Event()

    def held(_, __):
        began.set()
        go_on.wait(20)
        return 204, {}

    receiver.script = [held]

    def work():
        try:
            tasks_pings.deliver_ping(str(workspace.id), row["id"])
        finally:
            connection.close()

    first = threading.Thread(target=work)
    first.start()
    assert began.wait(20)
    tasks_pings.deliver_ping(str(workspace.id), row["id"])
    assert len(receiver.requests) == 1
    # Its claim runs out, as if its process had died; another makes the next attempt.
    assert attempt(api, workspace, ping)["attempts"] == 2
    go_on.set()
    first.join()
    (row,) = log_of(api, ping).values()
    assert (row["status"], row["attempts"]) == ("sent", 2)


def test_a_failure_of_an_attempt_that_lost_its_claim_says_nothing(scoped):
    channel = ping_deliveries.PingChannel(name="c", kind="slack", target="https://x.example")
    channel.save(force_insert=True)
    ping = ping_deliveries.Ping(message="m")
    ping.save(force_insert=True)
    (row,) = ping_deliveries.plan_on(ping, [channel], actor=ALICE)
    first = ping_deliveries.claim(row.id)
    assert ping_deliveries.claim(row.id) is None
    PingDelivery.objects.filter(pk=row.pk).update(next_attempt_at=clock.now())
    second = ping_deliveries.claim(row.id)
    assert (first.attempt, second.attempt) == (1, 2)
    failure = ping_deliveries.SendFailed("late", final=True)
    assert ping_deliveries.record_failed(row.id, attempt=1, failure=failure) is None
    row.refresh_from_db()
    assert (row.status, row.error) == ("pending", "")
