"""`decay`: a memory's strength moves it in the order, bounded, and only where it is asked for."""

import math
from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.scope import workspace_scope
from memory.models import Memory
from memory.search.decay import REACH, forget_wanted, strength
from tests.api.caller import caller, made, problem
from tests.factories import make_memory
from tests.search.asking import embed_all


@pytest.mark.parametrize("reads", [0, 1, 10**9])
@pytest.mark.parametrize("valence", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("days", [-400, 0, 40_000])
def test_it_is_a_share(reads, valence, days):
    assert 0 <= strength(reads, valence, timedelta(days=days)) <= 1


def test_it_follows_the_formula():
    assert strength(0, 0.0, timedelta(days=30)) == pytest.approx(0.2 * 0.5 / 0.8)
    assert strength(9, -1.0, timedelta()) == pytest.approx(1.0)
    assert strength(0, 0.5, timedelta(days=3000)) == pytest.approx(0.15 / 0.8)


def test_the_stronger_of_two_comes_first_where_it_is_asked_for(workspace, embedder):
    with workspace_scope(workspace.id):
        year = clock.now() - timedelta(days=365)
        old = make_memory("The pump of the greenhouse is blue", recorded_at=year)
        used = make_memory("The pump of the greenhouse was blue", recorded_at=year)
        Memory.objects.filter(pk=old.pk).update(access_count=0)
        Memory.objects.filter(pk=used.pk).update(access_count=9)
    embed_all(workspace)
    api = caller(workspace)

    def hits(**fields):
        asked = {"q": "pump of the greenhouse", "explain": True, "limit": 2, **fields}
        return {hit["id"]: hit for hit in made(api.post("/search", asked))["hits"]}

    plain, decayed = hits(), hits(decay=1.0)
    assert plain == hits(decay=0)
    assert next(iter(decayed)) == str(used.pk)
    for memory, share in ((old, 0.0), (used, 0.375)):
        before, after = (found[str(memory.pk)] for found in (plain, decayed))
        assert "decay" not in before["explain"]["parts"]
        moved = after["explain"]["parts"]["decay"]
        assert moved == pytest.approx(REACH * (2 * share - 1), abs=0.01)
        odds = [one["score"] / (1 - one["score"]) for one in (before, after)]
        assert math.log(odds[1] / odds[0]) == pytest.approx(moved, abs=0.05)
    problem(api.post("/search", {"q": "pump", "decay": 1.1}), 422)


def test_a_workspace_may_want_it_for_all_searches_with_a_half_life_of_its_own(workspace, embedder):
    with workspace_scope(workspace.id):
        for words, days in (("is blue", 100), ("was blue", 300)):
            then = clock.now() - timedelta(days=days)
            make_memory(f"The pump of the greenhouse {words}", recorded_at=then)
    embed_all(workspace)
    api = caller(workspace, scopes=["workspace:write", "search"])

    def parts(**fields):
        asked = {"q": "pump of the greenhouse", "explain": True, "limit": 2, **fields}
        hits = made(api.post("/search", asked))["hits"]
        return sorted(hit["explain"]["parts"].get("decay", 0.0) for hit in hits)

    def want(**decay):
        made(api.patch("/workspace", {"settings": {"decay": decay}}))
        forget_wanted()

    def moved(weight, half_life):
        shares = (0.25 * 0.5 ** (days / half_life) for days in (300, 100))
        return pytest.approx([weight * REACH * (2 * share - 1) for share in shares], abs=0.001)

    assert parts() == [0.0, 0.0]
    want(enabled=True)
    assert parts() == moved(0.5, 30)
    want(enabled=True, weight=1, half_life_days=200)
    assert parts() == moved(1, 200)
    # Who says so is answered as they say; the half-life is the workspace's.
    assert parts(decay=0) == [0.0, 0.0]
    assert parts(decay=0.25) == moved(0.25, 200)
    want(enabled=False, half_life_days=200)
    assert parts() == [0.0, 0.0]
    assert parts(decay=1) == moved(1, 200)


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        {"on": True},
        {"enabled": 1},
        {"weight": 1.1},
        {"weight": -0.1},
        {"weight": True},
        {"half_life_days": 0},
        {"half_life_days": 4000},
        {"half_life_days": "30"},
    ],
)
def test_a_setting_that_says_nothing_of_it_is_refused(workspace, wrong):
    api = caller(workspace, scopes=["workspace:write"])
    told = problem(api.patch("/workspace", {"settings": {"decay": wrong}}), 422)
    assert "settings.decay" in str(told["errors"])
