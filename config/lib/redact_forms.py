"""The forms that nothing but a secret has: vendors' prefixes, PEM blocks, passwords in addresses.

A table, and what is asked about a text first. Not for names, which redact_named.py knows.
"""

from config.lib.redact_named import SPACE, VARIABLES

# Kind, the literals of which one stands in every secret of this form, and the form. No form takes
# more than a bounded number of steps for each place where it may begin: texts come from anybody.
FORMS: tuple[tuple[str, str, str], ...] = (
    (
        "private-key",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    # The same in base64, as in a kubeconfig: its words, however they fall on three letters.
    ("private-key", "LS0tLS1CRUdJTi",
     r"LS0tLS1CRUdJTi[0-9A-Za-z+/]{0,40}?(?:UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW)"
     r"[0-9A-Za-z+/]*={0,2}"),
    ("remembrancer-key", "rmb_", r"\brmb_[0-9A-Za-z]{43}_[0-9A-Za-z]{43,49}"),
    ("anthropic-key", "sk-", r"\bsk-ant-[\w-]{16,}"),
    (
        "openai-key",
        "sk-",
        r"(?<![\w-])sk-(?:[0-9a-f]{32,64}\b"
        r"|(?=[\w-]{0,200}?[0-9])(?=[\w-]{0,200}?[A-Z])[\w-]{20,})",
    ),
    ("stripe-key", "k_live_ k_test_ whsec_",
     r"\b(?:[sr]k_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z+/]{24,}={0,2})"),
    ("github-token", "gh github_pat_", r"\b(?:gh[pousr]_[0-9A-Za-z]{30,}|github_pat_\w{22,})"),
    ("gitlab-token", "glpat- glptt- gldt- glrt-", r"\bgl(?:pat|ptt|dt|rt)-[\w-]{20,}"),
    ("aws-key-id", "AKIA ASIA", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("google-key", "AIza", r"\bAIza[\w-]{35}"),
    ("google-secret", "GOCSPX-", r"\bGOCSPX-[\w-]{24,}"),
    ("google-token", "ya29.", r"\bya29\.[\w-]{20,}"),
    ("slack-token", "xox xapp-",
     r"\b(?:xox[a-eoprs]|xapp)-(?=[A-Za-z-]{0,99}[0-9])[0-9A-Za-z-]{10,}"),
    ("slack-webhook", "hooks.slack.com", r"https://hooks\.slack\.com/services/[\w/]{20,}"),
    ("npm-token", "npm_", r"\bnpm_[0-9A-Za-z]{36}\b"),
    ("pypi-token", "pypi-AgEI", r"\bpypi-AgEI[\w-]{50,}"),
    ("hugging-face-token", "hf_", r"\bhf_[0-9A-Za-z]{30,}"),
    ("sendgrid-key", "SG.", r"\bSG\.[\w-]{20,}\.[\w-]{40,}"),
    ("groq-key", "gsk_", r"\bgsk_[0-9A-Za-z]{40,}"),
    ("xai-key", "xai-", r"\bxai-[0-9A-Za-z]{60,}"),
    ("perplexity-key", "pplx-", r"\bpplx-[0-9A-Za-z]{40,}"),
    ("replicate-token", "r8_", r"\br8_[0-9A-Za-z]{36,}"),
    ("digitalocean-token", "_v1_", r"\bdo[opr]_v1_[0-9a-f]{64}"),
    ("shopify-token", "shp", r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("linear-key", "lin_api_", r"\blin_api_[0-9A-Za-z]{32,}"),
    ("vault-token", "hvs.", r"\bhvs\.[\w-]{24,}"),
    ("age-key", "AGE-SECRET-KEY-1", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    ("jwt", "eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
)  # fmt: skip
# Forms of which a part stays: the scheme and the name tell a reader what was there.
_UNMARKED = r"(?!\[REDACTED:)"
PARTS: tuple[tuple[str, str, str], ...] = (
    # The last `@` before the path ends it: a password may have one.
    (
        "password",
        "://",
        rf"((?:://|:\\/\\/)[^\s:/@\"'<>\[\]]{{0,200}}:){_UNMARKED}([^\s/\"'<>]{{1,500}})(?=@)",
    ),
    # Written into a database's address as it is, with a slash in it.
    (
        "password",
        "sql://",
        r"((?i:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql)(?:\+\w{1,20})?"
        rf"://[^\s:/@\"'<>\[\]]{{0,200}}:){_UNMARKED}"
        r"((?![0-9]{1,5}[/?])[^\s\"'<>@\[]{1,300}+)(?=@[\w.-])",
    ),
    # In place of a name and a password, as in the address of a repository.
    (
        "password",
        "://",
        r"(://)((?=[^\s/@]{0,200}[0-9])(?=[^\s/@]{0,200}[A-Za-z])[0-9A-Za-z_-]{20,200})(?=@)",
    ),
    (
        "password",
        "://",
        r"(%3[Aa]%2[Ff]%2[Ff][^\s/@\"'<>&%]{0,100}%3[Aa])"
        rf"{_UNMARKED}"
        r"((?:[^\s\"'<>&=%]|%(?!40|26)[0-9A-Fa-f]{2}){1,100}+)(?=%40)",
    ),
    (
        "authorization",
        "bearer",
        r"((?i:\b(?:bearer|basic)\s{1,20}))"
        r"((?=[A-Za-z._~+/-]{0,200}[0-9])[A-Za-z0-9._~+/-]{16,}=*|[A-Za-z+/]{24,}=*)",
    ),
    (
        "variable",
        "PASSWORD= PASSWD= SECRET= KEY= TOKEN=",
        rf"((?<![A-Z0-9_])[A-Z0-9_]*(?:{VARIABLES})"
        r"=\\?[\"']?)(?!(?i:your[-_]))([^\s\"'$<{(&;\\\[][^\s\"'&;\\]{7,})",
    ),
)

# One look for all of them says which forms are worth one of their own: nearly every text has none.
# RE2 takes 2 ns a character for it, `re` 45.
BROAD = {
    "gh": r"gh[pousr]_",
    "xox": r"xox[a-eoprs]-",
    "shp": r"shp(?:at|ca|pa|ss)_",
    # Most addresses have no `@` before their path.
    "://": r":\\*/\\*/[^\s/\"'<>]*@|%3[Aa]%2[Ff]%2[Ff][^\s\"'<>]*%40",
    "sql://": r"(?i:sql|postgres|mariadb|mongodb|redis|amqps?)[+\w]*://",
    "bearer": rf"(?i:bearer|basic){SPACE}",
}

# What may stand right before a form, and ends in a letter or digit all the same: a line end that
# is written as two letters, as in JSON and vCards; other escapes of JSON and addresses; the colours
# of a terminal.
ESCAPES = (
    r"(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\x[0-9A-Fa-f]{2})|(?<=[0-9\[]m)"
)
