"""How people are reached: the admin's address, mail, channels."""

from config.settings.declared.kinds import Setting, boolean, email_url, http_url, mailbox

PEOPLE: tuple[Setting, ...] = (
    Setting(
        "REMEMBRANCER_PUBLIC_URL",
        http_url,
        "",
        "Address at which people open the admin; links in pings that leave it lead there.",
        "`http://HOST:PORT`",
    ),
    Setting(
        "EMAIL_URL",
        email_url,
        None,
        "Mail server for pings by e-mail: smtp+tls://user:password@host:587; also smtp, smtp+ssl.",
        "none: no e-mail is sent",
    ),
    Setting(
        "DEFAULT_FROM_EMAIL",
        mailbox,
        "remembrancer@localhost",
        "Sender of that e-mail.",
    ),
    Setting(
        "REMEMBRANCER_CHANNELS_PRIVATE",
        boolean,
        False,
        "Let webhook, ntfy and Slack channels reach private and loopback addresses.",
    ),
)
