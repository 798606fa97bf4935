"""config, install and uninstall: agents' configuration with ours in it, and again as it was."""

import json
import tomllib

import pytest

from tests.shim.machine import SHIM

FOREIGN = {"matcher": "Bash", "hooks": [{"type": "command", "command": "/opt/check.sh"}]}
# By agent: its files, and what stands in them before.
FILES = {
    "claude-code": {
        ".claude/settings.json": json.dumps(
            {"model": "opus", "hooks": {"PostToolUse": [FOREIGN], "Stop": []}}, indent=4
        ),
        ".claude.json": '{"numStartups":7,"mcpServers":{"other":{"type":"stdio"}},"x":"é\\u00e9"}',
    },
    "codex": {
        ".codex/hooks.json": json.dumps({"hooks": {"Stop": [FOREIGN]}}),
        ".codex/config.toml": (
            '# mine\nmodel = "gpt-5.2-codex"\n\n[mcp_servers.other]\ncommand = "x" # y\n\n'
            '# of the next table\n[projects."/home/vera"]\ntrust_level = "trusted"'
        ),
    },
    "cursor": {
        ".cursor/hooks.json": '{"version": 1, "hooks": {"stop": [{"command": "./x.sh"}]}}\n',
        ".cursor/mcp.json": '{\r\n\t"mcpServers": {\r\n\t\t"other": {"url": "u"}\r\n\t}\r\n}\r\n',
    },
    "gemini": {
        ".gemini/settings.json": (
            '// my settings\n{\n  "theme": "dark", // night\n  "hooks": {\n    /* checks */\n'
            '    "AfterTool": [\n      {"hooks": [{"type": "command", "command": "x"}]},\n    ],\n'
            '  },\n}\n'
        ),
    },
}  # fmt: skip
AGENTS = sorted(FILES)


@pytest.fixture
def agent_files(offline):
    """Write an agent's files, or some instead; read them all."""

    def _read(agent):
        paths = [offline.home / name for name in FILES[agent]]
        return {str(path): path.read_bytes() for path in paths if path.exists()}

    def _write(agent):
        for name, text in FILES[agent].items():
            path = offline.home / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        return _read(agent)

    _write.read = _read
    return _write


def done(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("agent", AGENTS)
def test_from_nothing_to_nothing(offline, agent_files, agent):
    done(offline.run("install", agent))
    there = agent_files.read(agent)
    assert len(there) == len(FILES[agent])
    assert any(f"{SHIM} hook {agent}".encode() in data for data in there.values())
    assert any(b"rmb_nobody" in data for data in there.values())
    done(offline.run("uninstall", agent))
    assert agent_files.read(agent) == {}


@pytest.mark.parametrize("agent", AGENTS)
def test_what_was_there_stays_and_comes_back_to_the_byte(offline, agent_files, agent):
    before = agent_files(agent)
    done(offline.run("install", agent))
    after = agent_files.read(agent)
    assert after.keys() == before.keys()
    for path, data in before.items():
        assert after[path] != data
        # Text is added; none of the lines that were there is gone, but for a comma behind it.
        for line in data.decode().split(",")[0].splitlines():
            assert line.strip() in after[path].decode()
    done(offline.run("uninstall", agent))
    assert agent_files.read(agent) == before


@pytest.mark.parametrize("agent", AGENTS)
def test_installed_again_nothing_changes(offline, agent_files, agent):
    agent_files(agent)
    done(offline.run("install", agent))
    once = agent_files.read(agent)
    assert "as it should be" in done(offline.run("install", agent))
    assert agent_files.read(agent) == once
    # A new key replaces the old one, and is gone with the rest.
    offline.configure(key="rmb_another")
    done(offline.run("install", agent))
    again = b"".join(agent_files.read(agent).values())
    assert (b"rmb_another" in again, b"rmb_nobody" in again) == (True, False)
    done(offline.run("uninstall", agent))
    assert agent_files.read(agent) == {
        str(offline.home / name): text.encode() for name, text in FILES[agent].items()
    }


def test_foreign_hooks_run_on_and_later_edits_stay(offline, agent_files):
    agent_files("claude-code")
    done(offline.run("install", "claude-code"))
    path = offline.home / ".claude" / "settings.json"
    settings = json.loads(path.read_text())
    assert settings["hooks"]["PostToolUse"][0] == FOREIGN
    assert len(settings["hooks"]["PostToolUse"]) == 2
    assert {"SessionStart", "UserPromptSubmit", "SessionEnd"} <= settings["hooks"].keys()
    settings["hooks"]["Stop"].append(FOREIGN)
    settings["later"] = True
    path.write_text(json.dumps(settings, indent=2))
    done(offline.run("uninstall", "claude-code"))
    assert json.loads(path.read_text()) == {
        "model": "opus", "hooks": {"PostToolUse": [FOREIGN], "Stop": [FOREIGN]}, "later": True,
    }  # fmt: skip
    state = json.loads((offline.home / ".claude.json").read_text())
    assert state["mcpServers"] == {"other": {"type": "stdio"}}


def test_edited_between_two_installs_the_edit_stays(offline, agent_files):
    agent_files("gemini")
    done(offline.run("install", "gemini"))
    path = offline.home / ".gemini" / "settings.json"
    path.write_text(path.read_text().replace('"dark"', '"light"'))
    offline.configure(key="rmb_another")
    done(offline.run("install", "gemini"))
    done(offline.run("uninstall", "gemini"))
    wanted = FILES["gemini"][".gemini/settings.json"].replace('"dark"', '"light"')
    assert path.read_text().split() == wanted.split()


def test_comments_and_commas_at_ends_stay(offline, agent_files):
    agent_files("gemini")
    done(offline.run("install", "gemini"))
    text = (offline.home / ".gemini" / "settings.json").read_text()
    assert text.startswith('// my settings\n{\n  "theme": "dark", // night\n')
    assert "/* checks */" in text


def test_codex_gets_tables_of_its_own(offline, agent_files):
    agent_files("codex")
    out = done(offline.run("install", "codex"))
    assert "/hooks" in out
    config = tomllib.loads((offline.home / ".codex" / "config.toml").read_text())
    ours = config["mcp_servers"].pop("remembrancer")
    assert ours == {
        "url": "http://127.0.0.1:9/mcp/",
        "http_headers": {"Authorization": "Bearer rmb_nobody"},
    }
    assert config == tomllib.loads(FILES["codex"][".codex/config.toml"])
    # Codex writes its own below; of that, only what is about our hooks goes.
    hooks = offline.home / ".codex" / "hooks.json"
    with (offline.home / ".codex" / "config.toml").open("a") as file:
        for number in (0, 1):
            file.write(f'\n[hooks.state."{hooks}:stop:{number}:0"]\ntrusted_hash = "sha256:0"\n')
    done(offline.run("uninstall", "codex"))
    config = tomllib.loads((offline.home / ".codex" / "config.toml").read_text())
    assert list(config.pop("hooks")["state"]) == [f"{hooks}:stop:0:0"]
    assert config == tomllib.loads(FILES["codex"][".codex/config.toml"])


@pytest.mark.parametrize(
    ("agent", "name", "text"),
    [
        ("claude-code", ".claude/settings.json", '{"hooks": {'),
        ("claude-code", ".claude/settings.json", '{"hooks": []}'),
        ("claude-code", ".claude/settings.json", '{"hooks": {"Stop": {}}}'),
        ("claude-code", ".claude.json", '{"mcpServers": 3}'),
        ("claude-code", ".claude.json", '{"a": 1} {'),
        ("codex", ".codex/config.toml", 'model = "x\n'),
        ("codex", ".codex/config.toml", 'mcp_servers = { remembrancer = { url = "x" } }\n'),
        ("cursor", ".cursor/mcp.json", "[]"),
        ("gemini", ".gemini/settings.json", '{"a": tru}'),
        ("gemini", ".gemini/settings.json", b"{\xff}"),
    ],
)
def test_a_file_that_cannot_be_understood_is_left_alone(offline, agent, name, text):
    path = offline.home / name
    path.parent.mkdir(exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    result = offline.run("install", agent)
    assert result.returncode == 1
    assert str(path) in result.stderr
    assert path.read_bytes() == data
    # Neither is any other file of the agent's touched.
    others = [offline.home / other for other in FILES[agent] if other != name]
    assert not any(other.exists() for other in others)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_dry_run_shows_the_differences_without_the_key(offline, agent_files, agent):
    before = agent_files(agent)
    out = done(offline.run("install", agent, "--dry-run"))
    assert f"{SHIM} hook {agent}" in out
    assert "rmb_nobody" not in out
    assert agent_files.read(agent) == before
    assert not (offline.state / "installed").exists()


def test_the_key_is_for_nobody_else_to_read_and_links_stay_links(offline):
    dotfiles = offline.home / "dotfiles.json"
    dotfiles.write_text("{}")
    dotfiles.chmod(0o644)
    (offline.home / ".cursor").mkdir()
    link = offline.home / ".cursor" / "mcp.json"
    link.symlink_to(dotfiles)
    done(offline.run("install", "cursor"))
    assert link.is_symlink()
    assert "rmb_nobody" in dotfiles.read_text()
    assert dotfiles.stat().st_mode & 0o777 == 0o600
    done(offline.run("uninstall", "cursor"))
    assert (link.is_symlink(), dotfiles.read_text()) == (True, "{}")
    assert dotfiles.stat().st_mode & 0o777 == 0o644


def test_without_a_name_those_that_are_there(offline):
    assert "no agent was found" in offline.run("install").stderr
    (offline.home / ".gemini").mkdir()
    out = done(offline.run("install"))
    assert out.startswith("gemini:")
    assert (offline.home / ".gemini" / "settings.json").exists()
    assert not (offline.home / ".claude").exists()


def test_folders_that_agents_were_told_of(offline):
    folder = offline.home / "elsewhere"
    done(offline.run("install", "claude-code", CLAUDE_CONFIG_DIR=str(folder)))
    assert {path.name for path in folder.iterdir()} == {"settings.json", ".claude.json"}
    done(offline.run("install", "codex", CODEX_HOME=str(folder)))
    assert (folder / "hooks.json").exists()


def test_where_the_plugin_does_the_same_it_says_so(offline):
    (offline.home / ".claude").mkdir()
    settings = offline.home / ".claude" / "settings.json"
    settings.write_text('{"enabledPlugins": {"remembrancer@here": true}, "disableAllHooks": true}')
    assert "runs twice" in done(offline.run("install", "claude-code"))
    said = offline.run("doctor").stdout
    assert "runs twice" in said
    assert "disableAllHooks" in said


def test_the_command_that_is_written_runs(offline, agent_files):
    import subprocess

    done(offline.run("install", "claude-code"))
    settings = json.loads((offline.home / ".claude" / "settings.json").read_text())
    ((group,), *_) = settings["hooks"].values()
    result = subprocess.run(
        ["sh", "-c", group["hooks"][0]["command"]], input=b'{"hook_event_name": "Stop"}',
        env=offline.environment, capture_output=True, timeout=30,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert len(offline.queue()) == 1


# --- config ---------------------------------------------------------------------------------------


def test_config_takes_the_key_from_standard_input_and_keeps_it_to_itself(offline):
    path = offline.home / ".config" / "remembrancer" / "config.json"
    path.unlink()
    done = offline.run("config", "--url", offline.url + "/", "--key", "-", given=b"rmb_given\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text()) == {"url": offline.url, "key": "rmb_given"}
    assert path.stat().st_mode & 0o777 == 0o600
    shown = offline.run("config")
    assert offline.url in shown.stdout
    assert "rmb_given" not in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--url", "http://example.org"), "in the clear"),
        (("--url", "example.org"), "must begin"),
        (("--url", "https://example.org/?a=b"), "query"),
        (("--key", "two words"), "no key has"),
    ],
)
def test_config_refuses_what_cannot_be(offline, arguments, why):
    done = offline.run("config", *arguments, REMEMBRANCER_KEY="" if "--key" in arguments else "k")
    assert done.returncode == 1
    assert why in done.stderr


def test_the_key_of_one_server_is_not_taken_for_another(offline):
    done = offline.run("config", "--url", "https://example.org")
    assert done.returncode == 1
    assert "no key" in done.stderr


def test_install_takes_what_hooks_will_find(offline):
    """A hook runs in whatever shell its agent was started from."""
    path = offline.home / ".config" / "remembrancer" / "config.json"
    path.unlink()
    result = offline.run("install", "cursor", REMEMBRANCER_URL=offline.url, REMEMBRANCER_KEY="k")
    assert result.returncode == 1
    assert "remember config" in result.stderr
