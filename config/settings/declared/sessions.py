"""How sessions are watched, how long what they leave is kept, and what is learned from them."""

from config.settings.declared.kinds import (
    Setting,
    boolean,
    choice,
    http_url,
    number,
    path,
    percents,
    text,
    whole,
    words,
)

SESSIONS: tuple[Setting, ...] = (
    Setting(
        "REMEMBRANCER_CONTEXT_THRESHOLDS",
        percents,
        [50, 70, 90],
        "Percents of its context at which a session warns; a workspace may have its own.",
        "`50,70,90`",
    ),
    Setting(
        "REMEMBRANCER_ORPHAN_MINUTES",
        whole(5, 527_040),
        120,
        "Minutes without a sign of life after which a session is ended as orphaned; a workspace "
        "may have its own.",
    ),
    Setting(
        "REMEMBRANCER_RECEIPT_DAYS",
        whole(0, 36_500),
        30,
        "Days for which searches are kept, with the feedback on them, where a workspace says "
        "nothing else; 0 keeps none.",
    ),
    Setting(
        "REMEMBRANCER_HOOK_DAYS",
        whole(0, 36_500),
        30,
        "Days for which raw payloads of hooks are kept once they are mapped, where a workspace "
        "says nothing else; 0 keeps them all.",
    ),
    Setting(
        "REMEMBRANCER_HOOK_TOKENS",
        whole(0, 8000),
        1200,
        "Tokens of context that a hook's answer brings an agent at most; 0 brings none.",
    ),
    Setting(
        "REMEMBRANCER_SUMMARY_PROVIDER",
        choice("extractive", "openai", "anthropic"),
        "extractive",
        "Summarises sessions: `extractive` (own sentences, no network), `openai`, `anthropic`.",
    ),
    Setting(
        "REMEMBRANCER_SUMMARY_MODEL",
        text,
        "",
        "Model name for summaries by `openai` or `anthropic`.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_SUMMARY_URL",
        http_url,
        "",
        "Base URL of that server, such as https://api.anthropic.com/v1.",
        "none",
    ),
    Setting("REMEMBRANCER_SUMMARY_API_KEY", text, "", "Key for that server.", "none"),
    Setting(
        "REMEMBRANCER_SUMMARY_TIMEOUT",
        number(0.05, 600),
        60.0,
        "Seconds that server gets for a summary.",
        "`60`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT",
        boolean,
        True,
        "Learn from sessions as they end: summaries, and memories by rules (docs/extraction.md).",
        "`true`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_TRUSTED",
        words,
        ["*"],
        "Agents in whose sessions a person's explicit words are active memories at once: names, "
        "comma-separated, `*` for all, `none`; else they wait for review.",
        "`*`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_PHRASES",
        path,
        None,
        "JSON file with further phrases for the rules (docs/extraction.md).",
        "none",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_PROVIDER",
        choice("none", "openai", "anthropic"),
        "none",
        "A language model that proposes memories for review. Texts of sessions leave for it.",
    ),
    Setting("REMEMBRANCER_EXTRACT_MODEL", text, "", "Its name.", "none"),
    Setting(
        "REMEMBRANCER_EXTRACT_URL",
        http_url,
        "",
        "Base URL of its server, such as https://api.anthropic.com/v1.",
        "none",
    ),
    Setting("REMEMBRANCER_EXTRACT_API_KEY", text, "", "Key for that server.", "none"),
    Setting(
        "REMEMBRANCER_EXTRACT_TIMEOUT",
        number(0.05, 600),
        60.0,
        "Seconds that server gets for one call.",
        "`60`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_TOKENS",
        whole(0, 1_000_000_000),
        200_000,
        "Tokens that each workspace may use there a day (UTC), sent and answered; 0: none.",
        "`200000`",
    ),
    Setting(
        "REMEMBRANCER_EXTRACT_CONTRADICTIONS",
        boolean,
        False,
        "Ask that model, too, whether memories of the same subject contradict each other. Their "
        "texts leave for it.",
        "`false`",
    ),
)
