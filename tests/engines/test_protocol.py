"""Everything a pipe can carry survives the way, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.engines.local import protocol
from pregen.engines.local.protocol import FrameReader, ProtocolError, Tag
from pregen.model import Action, Flavor, Job, Kind, Outcome, Stages, Stamp, Step

int64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
text = st.text(max_size=60)
paths = st.binary(max_size=300)
steps = st.builds(Step, st.sampled_from(Action), st.sampled_from(Flavor), text)
jobs = st.builds(
    Job,
    job_id=int64,
    path=paths,
    size_bytes=int64,
    mtime_ns=int64,
    uris=st.lists(text, max_size=3).map(tuple),
    steps=st.lists(steps, max_size=4).map(tuple),
)
outcomes = st.builds(
    Outcome,
    job_id=int64,
    path=paths,
    kind=st.sampled_from(Kind),
    message=text,
    loader=text,
    mime=text,
    width_px=int64,
    height_px=int64,
    entries_written=int64,
    bytes_written=int64,
    bytes_read=int64,
    stages=st.builds(Stages, int64, int64, int64, int64, int64),
    worker_pid=int64,
    extra=text,
    source_size_bytes=int64,
    source_mtime_ns=int64,
    source_inode=st.integers(0, 2**63 - 1),
    source_ctime_ns=st.integers(0, 2**63 - 1),
    stamps=st.lists(st.builds(Stamp, st.integers(0, 2**64 - 1), int64, int64), max_size=4).map(
        tuple
    ),
    fingerprint=text,
    waited_ns=int64,
    share=st.just(0),  # the run knows it without being told
)


def only_frame(data: bytes) -> tuple[Tag, bytes]:
    (found,) = FrameReader().feed(data)
    return found


@given(st.lists(jobs, max_size=5))
def test_jobs_arrive_as_they_were_sent(sent: list[Job]) -> None:
    tag, body = only_frame(protocol.jobs_frame(sent))
    assert tag is Tag.JOBS
    assert protocol.read_jobs(body) == sent


@given(st.lists(outcomes, max_size=5), int64, int64)
def test_outcomes_arrive_as_they_were_sent(
    sent: list[Outcome], busy_ns: int, rss_bytes: int
) -> None:
    encoded = [protocol.encode_outcome(outcome) for outcome in sent]
    tag, body = only_frame(protocol.report_frame(busy_ns, rss_bytes, encoded))
    assert tag is Tag.OUTCOMES
    assert protocol.read_report(body) == (busy_ns, rss_bytes, tuple(sent))


def test_a_long_message_is_cut_between_characters() -> None:
    sent = Outcome(1, b"/x", Kind.ERROR, "ä" * protocol.MOST_TEXT_BYTES + "x")
    _, body = only_frame(protocol.report_frame(0, 0, [protocol.encode_outcome(sent)]))
    (received,) = protocol.read_report(body).outcomes
    assert received.message == "ä" * (protocol.MOST_TEXT_BYTES // 2)


@given(st.lists(int64))
def test_returned_jobs_arrive_as_they_were_sent(job_ids: list[int]) -> None:
    tag, body = only_frame(protocol.returned_frame(job_ids))
    assert tag is Tag.RETURNED
    assert protocol.read_returned(body) == tuple(job_ids)


@given(int64, int64)
def test_numbers_arrive_as_they_were_sent(one: int, two: int) -> None:
    for data, expected in (
        (protocol.ask_frame(one, two), (Tag.ASK, (one, two))),
        (protocol.ready_frame(one), (Tag.READY, (one,))),
    ):
        tag, body = only_frame(data)
        assert (tag, protocol.read_numbers(tag, body)) == expected


@given(
    st.lists(st.tuples(st.sampled_from(Tag), st.binary(max_size=50)), max_size=8),
    st.lists(st.integers(min_value=1, max_value=40)),
)
def test_frames_are_found_however_the_bytes_are_cut(
    sent: list[tuple[Tag, bytes]], cuts: list[int]
) -> None:
    data = b"".join(protocol.frame(tag, body) for tag, body in sent)
    frames = FrameReader()
    found: list[tuple[Tag, bytes]] = []
    for cut in cuts:
        found.extend(frames.feed(data[:cut]))
        data = data[cut:]
    found.extend(frames.feed(data))
    assert found == sent
    assert not frames.rest


def test_last_words_follow_the_last_frame() -> None:
    frames = FrameReader()
    data = protocol.frame(Tag.GRANT) + b"Fatal Python error: Segmentation fault\n"
    found: list[tuple[Tag, bytes]] = []
    with pytest.raises(ProtocolError):
        found.extend(frames.feed(data))
    assert not list(frames.feed(b'  File "/a/b.py", line 1 in c\n'))
    assert frames.rest.startswith(b"Fatal Python error")
    assert frames.rest.endswith(b"line 1 in c\n")


def test_endless_nonsense_is_not_kept() -> None:
    frames = FrameReader()
    with pytest.raises(ProtocolError):
        list(frames.feed(b"\xff" * 10))
    for _ in range(10):
        assert not list(frames.feed(b"\xff" * protocol.MOST_REST_BYTES))
    assert len(frames.rest) <= protocol.MOST_REST_BYTES


@given(st.binary(max_size=400))
def test_no_bytes_from_a_worker_do_more_than_raise_wire_error(body: bytes) -> None:
    for read in (
        lambda: protocol.read_report(body),
        lambda: protocol.read_returned(body),
        lambda: protocol.read_numbers(Tag.ASK, body),
        lambda: list(FrameReader().feed(body)),
    ):
        try:
            read()
        except ProtocolError:
            continue


@given(outcomes, st.data())
def test_a_damaged_report_is_a_report_or_an_error(outcome: Outcome, data: st.DataObject) -> None:
    _, body = only_frame(protocol.report_frame(1, 2, [protocol.encode_outcome(outcome)]))
    where = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
    damaged = bytearray(body)
    damaged[where] ^= data.draw(st.integers(min_value=1, max_value=255))
    try:
        report = protocol.read_report(bytes(damaged))
    except ProtocolError:
        return
    assert all(isinstance(outcome.kind, Kind) for outcome in report.outcomes)
