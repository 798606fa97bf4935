"""What a runner keeps of a command's output: in order, bounded, with the end at hand."""

from sessions.models.worker import OutputStream
from sessions.runner import output
from sessions.runner.output import Output

OUT, ERR = OutputStream.STDOUT, OutputStream.STDERR


def test_pieces_keep_their_order_and_characters_cut_in_two_are_whole():
    found = Output()
    found.feed(OUT, "grü".encode()[:-1])
    found.feed(ERR, b"oh")
    found.feed(OUT, "ü".encode()[1:] + b"n\0\xff")
    assert found.take() == [(OUT, "gr"), (ERR, "oh"), (OUT, "ün\ufffd\ufffd")]
    assert not found.waiting
    assert found.report() == "grün\ufffd\ufffd"
    assert found.last_error() == "oh"


def test_what_is_cut_in_two_at_the_very_end_is_shown_as_such():
    found = Output()
    found.feed(OUT, "ü".encode()[:1])
    found.feed(OUT, b"", final=True)
    assert found.take() == [(OUT, "\ufffd")]


def test_many_small_pieces_become_one_for_each_stream():
    found = Output()
    for n in range(100):
        found.feed(OUT, b"%d " % n)
        found.feed(ERR, b".")
    assert found.take() == [(OUT, "".join(f"{n} " for n in range(100))), (ERR, "." * 100)]


def test_long_output_is_cut_into_pieces_that_can_be_stored():
    found = Output()
    found.feed(OUT, b"x" * 100_000)
    pieces = found.take()
    assert max(len(text) for _, text in pieces) <= output.PIECE
    assert "".join(text for _, text in pieces) == "x" * 100_000


def test_output_beyond_the_limit_is_counted_and_its_end_kept_for_the_report(monkeypatch):
    monkeypatch.setattr(output, "MAX_KEPT", 10)
    found = Output()
    assert found.note() is None
    found.feed(OUT, b"0123456789abc")
    found.feed(OUT, b"def")
    assert found.take() == [(OUT, "0123456789")]
    assert found.note() == (ERR, "[runworkers: 6 more characters of output were not kept]\n")
    assert found.report() == "0123456789abcdef"


def test_a_report_of_much_output_is_its_end():
    found = Output()
    for _ in range(10):
        found.feed(OUT, b"x" * 100_000)
    found.feed(OUT, b"the end")
    assert found.report().startswith("[the last 200,000 characters]\nxxx")
    assert found.report().endswith("xthe end")
    assert len(found.report()) < 200_100


def test_pieces_that_could_not_be_written_come_first_the_next_time():
    found = Output()
    found.feed(OUT, b"one")
    found.put_back(found.take())
    found.feed(ERR, b"two")
    pieces = found.take()
    assert pieces == [(OUT, "one"), (ERR, "two")]
    found.stop_keeping(pieces)
    found.feed(OUT, b"three")
    assert found.take() == []
    assert found.dropped == len("onetwothree")
