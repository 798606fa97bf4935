"""What waits: kept through everything, delivered in order, once, and never to somebody else."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from config.lib import clock
from memory.models import HookPayload
from sessions.models import SessionEvent
from tests.hook_payloads import a_session, claude
from tests.shim.machine import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def tool(number, session="one", text="fine"):
    call = {"tool_name": "Read", "tool_use_id": f"toolu_{session}_{number}"}
    return claude("PostToolUse", session, transcript_path="", **call, tool_response=text)


def fill(machine, count):
    """So many payloads wait, without a process for each."""
    machine.hook(tool(0))
    wait_for(lambda: machine.queue(".json"))
    (sample,) = machine.state.glob("spool/*/queue/*.json")
    facts = json.loads(sample.read_bytes().partition(b"\n")[0])
    stem = sample.name.partition("-")[2]
    for number in range(1, count):
        moment = facts["time"] + number
        body = json.dumps({**facts, "time": moment}).encode() + b"\n"
        body += json.dumps(tool(number)).encode()
        (sample.parent / f"{moment:020d}-{stem}").write_bytes(body)


def ids(rows):
    """Of the calls, in the order in which they were mapped."""
    return [e.dedupe_key.rpartition("_")[2] for e in rows(SessionEvent, event_type="tool_result")]


def test_kept_while_the_server_is_down_and_delivered_in_order_when_it_is_up(machine, door, rows):
    payloads = [{**payload, "transcript_path": ""} for payload in a_session()]
    for payload in payloads:
        assert machine.hook(payload) is None
    assert len(machine.queue()) == len(payloads)
    wait_for(lambda: "ConnectionRefusedError" in machine.log())
    assert rows(HookPayload) == []
    opened = clock.now()
    door.open()
    machine.settle()
    found = rows(HookPayload)
    assert [row.event for row in found] == [payload["hook_event_name"] for payload in payloads]
    # When they happened, not when they came.
    moments = [row.claimed_at for row in found]
    assert moments == sorted(moments)
    assert found[0].occurred_at < opened
    assert {row.repeats for row in found} == {0}
    assert all(row.answer == {} for row in found)


def test_killed_in_the_middle_the_next_goes_on_and_nothing_comes_twice(machine, door, rows):
    fill(machine, 60)
    door.delay = 0.01
    door.open()
    wait_for(lambda: len(machine.queue()) < 50)
    (process,) = machine.deliverers()
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: not machine.deliverers())
    assert machine.queue()
    door.delay = 0.0
    machine.hook(tool(60))
    machine.settle()
    wait_for(lambda: len(ids(rows)) == 61)
    assert ids(rows) == [str(number) for number in range(61)]


def test_parallel_sessions_share_one_deliverer(machine, door, rows):
    with ThreadPoolExecutor(4) as pool:
        for session in ("one", "two"):
            for number in range(8):
                pool.submit(machine.hook, tool(number, session))
    assert len(machine.deliverers()) == 1
    assert "another process delivers" in machine.run("deliver", "--seconds", "1").stderr
    door.open()
    machine.settle()
    wait_for(lambda: len(ids(rows)) == 16)
    assert {row.repeats for row in rows(HookPayload)} == {0}


def test_what_a_killed_hook_left_is_delivered(machine, rows):
    machine.hook(tool(0))
    machine.settle()
    (queue,) = machine.state.glob("spool/*/queue")
    facts = json.dumps({"agent": "claude-code", "event": "Stop", "session": "s", "time": 1})
    for number, name in enumerate(("1-00000000-n-a.wait", ".2-00000000-n-b")):
        body = json.dumps(claude("Stop", f"left-{number}", transcript_path="")).encode()
        (queue / name).write_bytes(facts.encode() + b"\n" + body)
    (queue.parent / "last.json.1.tmp").write_bytes(b"")
    # Of this one nothing is known: it is kept, and holds nobody up.
    (queue / "3-00000000-n-c.json").write_bytes(b"\xff\0")
    machine.hook(tool(1))
    machine.settle()
    assert {row.session_name for row in rows(HookPayload)} == {"one", "left-0", "left-1"}
    assert [path.name for path in machine.refused()] == ["3-00000000-n-c.json"]
    assert not list(queue.parent.glob("*.tmp"))


def test_above_its_limit_the_oldest_results_of_tools_go_first(machine, door, rows):
    limit = {"REMEMBRANCER_SHIM_SPOOL_MB": "0.1"}
    machine.hook(claude("UserPromptSubmit", prompt="Water the ferns"), **limit)
    for number in range(8):
        machine.hook(tool(number, text="x" * 20_000), **limit)
    wait_for(lambda: "above its limit" in machine.log())
    size = wait_for(
        lambda: (total := sum(p.stat().st_size for p in machine.state.rglob("queue/*")))
        <= 0.1 * 1024 * 1024 and total
    )  # fmt: skip
    assert size > 40_000
    door.open()
    machine.settle()
    assert rows(HookPayload)[0].event == "UserPromptSubmit"
    wait_for(lambda: ids(rows)[-1:] == ["7"])
    assert "0" not in ids(rows)


def test_a_server_that_lets_wait_disturbs_nobody(machine, door, rows):
    door.silent.set()
    door.open()
    payload = claude("UserPromptSubmit", prompt="Water the ferns", transcript_path="")
    assert machine.hook(payload, REMEMBRANCER_SHIM_BUDGET="0.3") is None
    # A moment later nobody waits for it again.
    assert machine.hook({**payload, "prompt": "Now"}, REMEMBRANCER_SHIM_BUDGET="20") is None
    machine.clean()
    wait_for(lambda: not machine.deliverers())
    door.shut()
    for path in machine.state.glob("spool/*/queue/*.wait"):
        # As if it had been kept half a minute ago: nobody can be asking with it any more.
        moment, _, rest = path.name.partition("-")
        path.rename(path.with_name(f"{int(moment) - 30 * 10**9:020d}-{rest}"))
    door.silent.clear()
    door.open()
    assert machine.run("deliver").returncode in (0, 1)
    machine.hook(tool(0))
    wait_for(lambda: len(rows(HookPayload)) == 3, seconds=40)


def test_a_wrong_key_keeps_all_until_there_is_a_right_one(machine, rows):
    key, machine.key = machine.key, "rmb_wrongwrongwrong"
    machine.configure()
    machine.hook(tool(0))
    wait_for(lambda: "401" in machine.log())
    assert len(machine.queue()) == 1
    assert "rmb_wrong" not in machine.log()
    machine.key = key
    done = machine.run("config", "--key", "-", given=f"{key}\n".encode())
    assert done.returncode == 0, done.stderr
    assert "1 payloads that waited" in done.stdout
    wait_for(lambda: len(rows(HookPayload)) == 1)


def test_what_the_server_never_takes_is_set_aside_and_holds_nobody_up(machine, rows):
    machine.hook(tool(0, text="x" * 11 * 1024 * 1024))
    machine.hook(tool(1))
    machine.settle()
    assert len(machine.refused()) == 1
    assert "413" in machine.log()
    wait_for(lambda: ids(rows) == ["1"])
