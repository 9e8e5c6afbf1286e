"""The numbers of a report, from rows made up here."""

from __future__ import annotations

from typing import Any

from pregen.imaging.review import luminance
from pregen.journal.rows import SourceHistory
from pregen.model import Kind, Stages
from pregen.verbs.report.contact_sheet import doubt
from pregen.verbs.report.figures import MOST_PATHS, SLOWEST, Figures
from tests.support.files.pictures import encode, image

S = 1_000_000_000


def seen(number: int, kind: Kind = Kind.MADE, **more: Any) -> SourceHistory:
    facts: dict[str, Any] = {
        "path": b"/p/%06d.jpg" % number,
        "size_bytes": 1000,
        "kind": kind,
        "message": "",
        "loader": "dc",
        "mime": "image/jpeg",
        "width_px": 4000,
        "height_px": 3000,
        "bytes_written": 10,
        "bytes_read": 500,
        "stages": Stages(1, 2, 3, 4, number),
        "worker_pid": 7,
        "seen_at_ns": number * S // 10,
    }
    return SourceHistory(**{**facts, **more})


def test_every_made_picture_is_at_its_time() -> None:
    figures = Figures(0, 10 * S)
    for number in range(100):
        figures.add(seen(number))
    assert figures.images_over_time == [10] * 10
    assert figures.bytes_over_time == [5000] * 10
    assert figures.bucket_s == 1.0


def test_a_time_outside_of_the_run_is_put_to_its_ends() -> None:
    figures = Figures(100 * S, 102 * S)
    figures.add(seen(0, seen_at_ns=0))
    figures.add(seen(1, seen_at_ns=10**15 * S))
    assert figures.images_over_time == [1, 1]


def test_the_slowest_come_first() -> None:
    figures = Figures(0, S)
    for number in (5, 300, 20, *range(100, 200)):
        figures.add(seen(number))
    assert len(figures.slowest) == SLOWEST
    assert [each.stages.commit_ns for each in figures.slowest][:3] == [300, 199, 198]


def test_failures_of_one_kind_are_one_group_and_their_paths_bounded() -> None:
    figures = Figures(0, S)
    for number in range(3 * MOST_PATHS):
        figures.add(seen(number, Kind.INVALID, message="no header"))
        figures.add(seen(number, Kind.ERROR, message=f"offset {number}"))
    assert figures.failures.keys() == {Kind.INVALID, Kind.ERROR}
    for group in figures.failures.values():
        assert group.count == 3 * MOST_PATHS
        assert len(group.first) == MOST_PATHS
    assert [message for _, message in figures.failures[Kind.ERROR].first[:2]] == [
        "offset 0",
        "offset 1",
    ]


def test_extreme_aspects_are_kept_apart() -> None:
    figures = Figures(0, S)
    figures.add(seen(1, width_px=11_000, height_px=1000))
    figures.add(seen(2, width_px=1000, height_px=9_000))
    assert [each.path for each in figures.extreme] == [b"/p/000001.jpg"]


def test_what_is_doubtful_is_told_by_its_pixels() -> None:
    from PIL import Image  # noqa: PLC0415 - only here

    flat = luminance(encode(Image.new("RGB", (128, 96), (250, 250, 250)), "PNG"))
    night = luminance(encode(image(128, 96).point(lambda level: level // 14), "PNG"))
    photo = luminance(encode(image(128, 96), "PNG"))
    assert flat
    assert night
    assert photo
    assert (doubt(flat), doubt(night), doubt(photo)) == ("flat", "very dark", "")
    assert luminance(b"no picture") is None
