"""The judge sees what is wrong with a picture, each fault by its own number."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.support.files import colour_spaces, foreign_writers, painting, plain_writers
from tests.support.files.pairs import pair
from tests.support.judges import foreign_decoders, likeness, our_entries, verdicts
from tests.support.judges.likeness import EXACT, compared
from tests.support.trials import judge_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.files.colour_spaces import Floats

_PICTURE = painting.painting(320, 240)
_ENTRY = likeness.reduced(_PICTURE, 256, 192)


def _in_wrong_profile(entry: Floats) -> Floats:
    space = colour_spaces.rgb("adobe")
    return np.concatenate([space.to_srgb(entry[..., :3]), entry[..., 3:]], axis=-1)


def _partly_black(entry: Floats) -> Floats:
    done = entry.copy()
    done[-40:, -48:, :3] = 0
    return done


def _without_alpha(entry: Floats) -> Floats:
    return np.concatenate([entry[..., :3], np.ones_like(entry[..., 3:])], axis=-1)


def _shifted(entry: Floats) -> Floats:
    return np.roll(entry, 1, axis=1)


def _stretched(entry: Floats) -> Floats:
    return likeness.reduced(entry, 256, 188)


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        (_in_wrong_profile, "colour_levels"),
        (_partly_black, "block_levels"),
        (_without_alpha, "alpha_levels"),
        (_shifted, "shift_px"),
        (_stretched, "shape_px"),
        (np.ones_like, "colour_levels"),
        (np.zeros_like, "alpha_levels"),
    ],
)
def test_a_fault_is_beyond_its_bound(fault: Callable[[Floats], Floats], number: str) -> None:
    beyond = compared(fault(_ENTRY), _PICTURE, 256).beyond(EXACT)
    assert any(words.startswith(number) for words in beyond)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turn_is_seen(orientation: int) -> None:
    done = painting.turned(_ENTRY, orientation)
    assert compared(done, _PICTURE, 256).beyond(EXACT)
    assert not compared(painting.laid_down(done, orientation), _PICTURE, 256).beyond(EXACT)


def test_another_way_to_reduce_is_no_fault() -> None:
    layer = Image.fromarray((_PICTURE * 255 + 0.5).astype(np.uint8))
    for how in (Image.Resampling.BICUBIC, Image.Resampling.BOX, Image.Resampling.HAMMING):
        entry = likeness.from_bytes(layer.convert("RGBa").resize((256, 192), how).convert("RGBA"))
        assert not compared(entry, _PICTURE, 256).beyond(EXACT)


@pytest.mark.parametrize("profile", ["srgb", "adobe", "p3", "prophoto", "linear"])
def test_definitions_and_littlecms_agree_about_a_profile(profile: str) -> None:
    stored = pair("rgb", "16", profile)
    by_littlecms = colour_spaces.littlecms(
        stored.samples / stored.most, stored.icc, colour_spaces.srgb_icc(), "rgb", "rgb"
    )
    assert np.abs(by_littlecms - stored.truth[..., :3]).max() * 255 < 0.5


def test_a_foreign_decoder_that_hangs_or_dies_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_decoders, "_TIME_S", 1)
    for command in (("sleep", "20"), ("sh", "-c", "kill -SEGV $$"), ("no-such-program",)):
        with pytest.raises(foreign_decoders.Refused):
            foreign_decoders._run(*command)
    damaged = tmp_path / "a.png"
    damaged.write_bytes(plain_writers.png(pair("rgb"))[:500])
    with pytest.raises(foreign_decoders.Refused):
        foreign_decoders.safely("pillow", damaged)


def test_a_folder_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out"
    folder.mkdir()
    stored = pair("rgb")
    (folder / "sound.png").write_bytes(plain_writers.png(stored))
    (folder / "small.png").write_bytes(plain_writers.png(pair("rgb", edges_px=(64, 48))))
    (folder / "no picture.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    lossless = foreign_writers.pillow("WEBP", lossless=True)(stored)
    (folder / "ünïcode\tname.webp").write_bytes(lossless)
    assert judge_folder.main([str(folder), "--out", str(out)]) == 0
    table = (out / "table.tsv").read_text(encoding="utf-8").splitlines()
    verdicts_by_name = {row.split("\t")[2]: row.split("\t")[0] for row in table[1:]}
    assert verdicts_by_name == {
        "sound.png": "alike", "small.png": "small", "no picture.jpg": "none",
        "ünïcode name.webp": "alike",
    }  # fmt: skip
    assert "4 files" in capsys.readouterr().out
    with Image.open(out / "sheet.png") as page:
        page.verify()


def test_a_wrong_entry_in_a_folder_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(plain_writers.png(pair("rgb")))
    white = property(lambda _: np.ones_like(_ENTRY))
    monkeypatch.setattr(our_entries.Ours, "entry", white)
    assert judge_folder.main([str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "differs" in capsys.readouterr().out


def test_a_pair_that_nobody_confirms_is_told(tmp_path: Path) -> None:
    from tests.support.cells.table import cells  # noqa: PLC0415 - the table is made once

    cell = next(cell for cell in cells() if cell.name == "png-rgb-8-none")
    path = tmp_path / "a.png"
    out = io.BytesIO()
    Image.new("RGB", (320, 240), "white").save(out, "PNG")
    path.write_bytes(out.getvalue())
    ours = our_entries.Ours("made", "", "vips", "image/png", (320, 240), None)
    with pytest.raises(verdicts.WrongPair):
        verdicts.judge(cell, path, ours, {"pillow"})
