"""The clock that stands while a story is told."""

import threading
from datetime import UTC, datetime, timedelta

from config.lib import clock, ids

THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def made(seed: int, count: int) -> list:
    with clock.telling(clock.Told(moment=THEN, seed=seed)):
        return [ids.new_id() for _ in range(count)]


def test_it_stands_where_it_is_put_and_goes_on_afterwards():
    told = clock.Told(moment=THEN, seed=1)
    with clock.telling(told):
        assert clock.now() == THEN
        told.moment += timedelta(hours=2)
        assert clock.now() == THEN + timedelta(hours=2)
        elsewhere: list[datetime] = []
        thread = threading.Thread(target=lambda: elsewhere.append(clock.now()))
        thread.start()
        thread.join()
    assert elsewhere[0] > THEN + timedelta(days=1)
    assert clock.now() > THEN + timedelta(days=1)


def test_ids_are_of_their_moment_in_order_and_the_same_for_a_seed():
    first = made(1, 9000)
    assert first == made(1, 9000) != made(2, 9000)
    assert first == sorted(first)
    assert len(set(first)) == 9000
    assert {row.version for row in first} == {7}
    assert {str(row)[19] for row in first} <= set("89ab")
    # More than a millisecond holds run over into the next ones.
    assert first[0].int >> 80 == int(THEN.timestamp() * 1000)
    assert first[-1].int >> 80 == int(THEN.timestamp() * 1000) + 2


def test_a_later_moment_sorts_behind_and_an_earlier_one_before():
    told = clock.Told(moment=THEN, seed=1)
    with clock.telling(told):
        now = ids.new_id()
        told.moment += timedelta(milliseconds=5)
        later = ids.new_id()
        told.moment -= timedelta(days=1)
        earlier = ids.new_id()
    assert earlier < now < later
