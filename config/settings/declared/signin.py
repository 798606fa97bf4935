"""How people sign in to the admin."""

from config.settings.declared.kinds import (
    Setting,
    choice,
    group_roles,
    networks,
    secure_url,
    text,
    words,
)

SIGN_IN: tuple[Setting, ...] = (
    Setting(
        "REMEMBRANCER_TRUSTED_PROXIES",
        networks,
        [],
        "Addresses or networks of the proxies whose X-Forwarded-For is believed, comma-separated.",
        "none: the header is not read",
    ),
    Setting(
        "REMEMBRANCER_SECOND_FACTOR",
        choice("off", "optional", "required"),
        "off",
        "Codes of a phone after the password: `off`, `optional` (whoever sets them up), `required` "
        "of all who come with a password (docs/security.md).",
    ),
    Setting(
        "REMEMBRANCER_OIDC_URL",
        secure_url,
        "",
        "Single sign-on by this OpenID Connect provider, beside passwords (docs/security.md).",
        "none: passwords only",
    ),
    Setting("REMEMBRANCER_OIDC_CLIENT_ID", text, "", "This installation's id there.", "none"),
    Setting("REMEMBRANCER_OIDC_CLIENT_SECRET", text, "", "Its secret.", "none"),
    Setting("REMEMBRANCER_OIDC_NAME", text, "Single sign-on", "What the button calls it."),
    Setting(
        "REMEMBRANCER_OIDC_ROLES",
        group_roles,
        [],
        "Roles that the provider's groups give, at each sign-in: group=workspace:role, "
        "comma-separated (docs/security.md).",
        "none: invitations only",
    ),
    Setting("REMEMBRANCER_OIDC_GROUPS_CLAIM", text, "groups", "The claim that names the groups."),
    Setting(
        "REMEMBRANCER_OIDC_SCOPES",
        words,
        ["openid", "profile", "email"],
        "What is asked of the provider, comma-separated; some name groups only if asked.",
        "`openid,profile,email`",
    ),
)
