"""A person's commands, and the line that is pasted."""

import json
import os
import re
import subprocess

import pytest

from memory.models import HookPayload, Memory
from tests.factories import make_key
from tests.hook_payloads import claude
from tests.shim.machine import SHIM, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_save_and_search(machine, rows):
    saved = machine.run("save", "Marisol", "waters the ferns.", "--kind", "fact", "--tag", "fern")
    assert saved.returncode == 0, saved.stderr
    (memory,) = rows(Memory)
    assert (memory.text, memory.tags) == ("Marisol waters the ferns.", ["fern"])
    assert str(memory.id) in saved.stdout
    machine.run("save", "-", given=b"Red \x1b[31m ferns.")
    found = machine.run("search", "ferns", "--limit", "3")
    assert found.returncode == 0, found.stderr
    assert "Marisol waters the ferns." in found.stdout
    assert "\x1b" not in found.stdout
    assert json.loads(machine.run("search", "--json", "ferns").stdout)["hits"]
    assert machine.run("search", "zeppelin").returncode == 1


def test_status_says_all_of_it(machine, rows):
    machine.run("install", "cursor")
    machine.hook(claude("Stop", transcript_path=""))
    machine.settle()
    said = machine.run("status")
    assert said.returncode == 0, said.stderr
    for wanted in (machine.url, "claude-code in greenhouse", "hooks:write", "0 waiting", "s ago"):
        assert wanted in said.stdout
    assert re.search(r"^cursor +installed$", said.stdout, re.MULTILINE)
    assert machine.key not in said.stdout


def test_doctor_is_content_with_what_works(machine):
    machine.run("config", "--key", machine.key)
    machine.run("install", "cursor")
    said = machine.run("doctor")
    assert said.returncode == 0, said.stdout
    assert "FAIL" not in said.stdout
    assert "cursor: hooks and MCP server are set" in said.stdout


def test_doctor_says_what_to_do(machine, workspace, door):
    (machine.home / ".config" / "remembrancer" / "config.json").chmod(0o644)
    down = machine.run("doctor")
    assert down.returncode == 1
    assert "cannot be reached" in down.stdout
    assert "chmod 600" in down.stdout
    door.open()
    wrong = machine.run("doctor", REMEMBRANCER_KEY="rmb_wrong")
    assert (wrong.returncode, "createkey" in wrong.stdout) == (1, True)
    _, narrow = make_key(workspace, agent="narrow", scopes=["search"])
    lacking = machine.run("doctor", REMEMBRANCER_KEY=narrow)
    assert (lacking.returncode, "lacks hooks:write" in lacking.stdout) == (1, True)
    elsewhere = machine.run("doctor", REMEMBRANCER_KEY="k", REMEMBRANCER_URL=machine.url + "/admin")
    assert elsewhere.returncode == 1
    assert "->" in elsewhere.stdout


def test_deliver_takes_what_waits_for_another_key(machine, rows):
    key, machine.key = machine.key, "rmb_wrongwrong"
    machine.configure()
    machine.hook(claude("Stop", transcript_path=""))
    wait_for(lambda: "401" in machine.log())
    machine.clean()
    wait_for(lambda: not machine.deliverers())
    machine.key = key
    machine.configure()
    assert "wait for another key" in machine.run("status").stdout
    done = machine.run("deliver", "--all")
    assert done.returncode == 0, done.stderr
    assert len(rows(HookPayload)) == 1


# --- The script, run ------------------------------------------------------------------------------


def one_line(machine, *agents, **environment):
    """The line as it is pasted."""
    line = f"curl -fsS {machine.url}/install | sh -s -- {' '.join(agents)}"
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=60, cwd=machine.home,
        env={**machine.environment, "PATH": os.environ["PATH"], **environment},
        start_new_session=True,
    )  # fmt: skip


def test_one_pasted_line_installs_and_the_first_session_is_remembered(machine, rows):
    (machine.home / ".config" / "remembrancer" / "config.json").unlink()
    done = one_line(machine, "claude-code", REMEMBRANCER_KEY=machine.key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "claude-code: hooks and MCP server are set" in done.stdout
    assert machine.key not in done.stdout + done.stderr
    settings = json.loads((machine.home / ".claude" / "settings.json").read_text())
    ((group,), *_) = settings["hooks"].values()
    command = group["hooks"][0]["command"]
    assert command.endswith(".local/share/remembrancer hook claude-code")
    payload = json.dumps(claude("SessionStart", source="startup", transcript_path=""))
    subprocess.run(["sh", "-c", command], input=payload, text=True, check=True, timeout=30,
                   env=machine.environment)  # fmt: skip
    wait_for(lambda: len(rows(HookPayload)) == 1)
    remember = machine.home / ".local" / "bin" / "remember"
    said = subprocess.run([remember, "status"], capture_output=True, text=True, timeout=30,
                          env={**machine.environment, "PATH": os.environ["PATH"]})  # fmt: skip
    assert "installed" in said.stdout, said.stdout + said.stderr


def test_the_script_says_what_is_missing_and_does_nothing_by_half(machine):
    (machine.home / ".config" / "remembrancer" / "config.json").unlink()
    done = one_line(machine, "claude-code")
    assert done.returncode == 1
    assert "REMEMBRANCER_KEY" in done.stderr
    assert not (machine.home / ".claude").exists()
    text = (SHIM.parent / "install.sh").read_text()
    # Cut off anywhere it does nothing but set variables and functions, or is no script at all.
    for part in (0.3, 0.6, 0.95):
        cut = text[: int(len(text) * part)]
        subprocess.run(["sh"], input=cut, text=True, capture_output=True, timeout=30,
                       env={**machine.environment, "HOME": str(machine.home / "cut")})  # fmt: skip
    assert not (machine.home / "cut").exists()
