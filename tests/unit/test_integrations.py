"""What integrations/ ships fits the server: events that it knows, tools that it has, one shim."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from config.mcp.tools import TOOLS
from memory.hooks.dialects import DIALECTS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "integrations"
# By agent: the folder that is installed, its manifest, its hooks, the shim as its hooks name it.
PLUGINS = {
    "claude-code": (
        FOLDER / "claude-code",
        ".claude-plugin/plugin.json",
        "hooks/hooks.json",
        "${CLAUDE_PLUGIN_ROOT}/remember.py",
    ),
    "codex": (
        FOLDER,
        ".codex-plugin/plugin.json",
        "codex/hooks.json",
        "${PLUGIN_ROOT}/shim/remember.py",
    ),
}
SKILLS = sorted((FOLDER / "claude-code" / "skills").glob("*/SKILL.md"))
NAMES = {tool.name for tool in TOOLS}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def shim() -> Any:
    return runpy.run_path(str(FOLDER / "shim" / "remember.py"), run_name="remember")


@pytest.mark.parametrize("agent", PLUGINS)
def test_a_plugin_has_the_hooks_that_the_shim_installs(agent, shim):
    folder, _, hooks_file, _ = PLUGINS[agent]
    hooks = read(folder / hooks_file)["hooks"]
    assert hooks.keys() == set(shim["events_of"](agent))
    assert DIALECTS[agent].context_at <= hooks.keys() <= DIALECTS[agent].readers.keys()
    for event, (group,) in hooks.items():
        (hook,) = group["hooks"]
        assert shim["is_ours"](hook["command"], agent)
        (installed,) = shim["hook_entry"](agent, event)["hooks"]
        assert {**hook, "command": ""} == {**installed, "command": ""}


@pytest.mark.parametrize("agent", PLUGINS)
def test_there_is_one_shim_and_a_plugin_carries_it(agent):
    """Claude Code copies what a link within the marketplace leads to; Codex leaves links out."""
    folder, _, hooks_file, named = PLUGINS[agent]
    (command,) = set(re.findall(r'"command": "(.*)"', (folder / hooks_file).read_text()))
    assert f'\\"{named}\\"' in command
    carried = folder / named.partition("/")[2]
    assert carried.resolve() == FOLDER / "shim" / "remember.py"
    assert carried.is_symlink() == (agent == "claude-code")


def test_the_marketplaces_name_the_plugins():
    markets = {
        "claude-code": (".claude-plugin/marketplace.json", lambda source: source),
        "codex": (".agents/plugins/marketplace.json", lambda source: source["path"]),
    }
    for agent, (path, place) in markets.items():
        folder, manifest, _, _ = PLUGINS[agent]
        (entry,) = read(ROOT / path)["plugins"]
        assert (ROOT / place(entry["source"])).resolve() == folder
        assert entry["name"] == read(folder / manifest)["name"] == "remembrancer"


def test_settings_are_those_that_the_shim_and_mcp_read():
    folder = FOLDER / "claude-code"
    options = read(folder / ".claude-plugin" / "plugin.json")["userConfig"]
    assert options.keys() == {"url", "key"}
    assert options["key"]["sensitive"]
    used = re.findall(r"\$\{user_config\.(\w+)\}", (folder / ".mcp.json").read_text())
    assert set(used) == options.keys()


@pytest.mark.parametrize("path", SKILLS, ids=lambda path: path.parent.name)
def test_a_skill_names_tools_that_there_are(path):
    text = path.read_text()
    allowed = re.findall(r"mcp__plugin_remembrancer_remembrancer__(\w+)", text)
    named = re.findall(r"`((?:memory|session|work|task|contact|notify)_\w+)`", text)
    arguments = {"session_id", "claude_session_id"}
    assert set(named) - arguments == set(allowed) <= NAMES
    fields = {name for tool in TOOLS for name in tool.takes.model_fields}
    assert {"query", "operation", "to_agent", "kind", "session", "claude_session_id"} <= fields
