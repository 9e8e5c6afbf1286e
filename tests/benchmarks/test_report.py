"""What a run of the benchmarks says: ratios pair by pair, lane by lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, PngImagePlugin

from benchmarks.harness import entries, report
from benchmarks.harness.samples import Sample

if TYPE_CHECKING:
    from pathlib import Path

_TWO, _FOUR = "normal,large", "normal,large,x-large,xx-large"


def _sample(peer: str, flavors: str, number: int, wall_s: float) -> Sample:
    return Sample(
        case="camera-hidpi", peer=peer, tree="camera", cache="warm", round=number, timed=True,
        wall_s=wall_s, user_s=wall_s, system_s=0, exit_code=0, timed_out=False, left_running=False,
        sources=704, source_bytes=10**9, resident_before=1, expected=1408, gnome=1408,
        everywhere=1408, pictures=1408, pictures_bytes=1, new_pictures=1408, tree_pss_bytes=0,
        process_rss_bytes=0, root_rss_bytes=0, load_before=0, started="", flavors=flavors,
    )  # fmt: skip


def _cells(text: str, name: str) -> list[str]:
    row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_lane_is_compared_with_its_own_peers_and_with_the_same_peer_at_two_flavors() -> None:
    text = report.tables(
        [
            _sample(peer, flavors, number, slow * wall_s)
            for number, slow in ((1, 1.0), (2, 3.0))  # a machine that slows down slows all
            for peer, flavors, wall_s in (
                ("floor", _TWO, 10.0),
                ("floor", _FOUR, 20.0),
                ("pregen", _TWO, 6.0),
                ("pregen", _FOUR, 24.0),
                ("pregen-before", _TWO, 12.0),
                ("pregen-before", _FOUR, 30.0),
            )
        ]
    )
    head = _cells(text, "program")
    two = dict(zip(head, _cells(text, "pregen, 128, 256 px"), strict=True))
    four = dict(zip(head, _cells(text, "pregen, 128, 256, 512, 1024 px"), strict=True))
    before = dict(zip(head, _cells(text, "pregen-before, 128, 256, 512, 1024 px"), strict=True))
    assert two["x floor"] == "0.60 (0.60-0.60)"
    assert two["/ two flavors"] == "1.00 (1.00-1.00)"
    assert four["x floor"] == "1.20 (1.20-1.20)"
    assert four["/ two flavors"] == "4.00 (4.00-4.00)"
    assert before["pregen / it"] == "0.80 (0.80-0.80)"
    assert before["seconds"] == "60.00 (30.00-90.00)"


def test_entries_are_counted_in_the_flavors_that_were_asked_for(tmp_path: Path) -> None:
    source = entries.Source(str(tmp_path / "a.jpg"), 5, 10**9, 4000)
    for flavor, edge_px in (("large", 256), ("x-large", 512)):
        folder = tmp_path / "thumbnails" / flavor
        folder.mkdir(parents=True)
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Thumb::URI", source.uri)
        texts.add_text("Thumb::MTime", "1")
        Image.new("RGB", (edge_px, 9)).save(folder / source.entry_name, pnginfo=texts)
    thumbnails = tmp_path / "thumbnails"
    found = entries.count(thumbnails, [source], 0, ("normal", "large", "x-large"))
    assert (found.expected, found.gnome, found.pictures) == (3, 2, 2)
    assert entries.count(thumbnails, [source], 0).gnome == 1
    assert entries.written_since(thumbnails, 0) == 1
