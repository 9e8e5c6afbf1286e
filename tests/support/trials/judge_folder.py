"""Compares what pregen makes of a folder's files with what other people's decoders show.

For `scripts/judge`. Writes, besides the table on standard output, `table.tsv` with every file and
`sheet.png` with the worst of them: ours on the left, the closest of theirs on the right. Foreign
decoders are processes with limits of time and memory, so that a folder may hold anything.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tests.support.judges import foreign_decoders, our_entries
from tests.support.judges.likeness import Bounds, compared, reduced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.files.colour_spaces import Floats
    from tests.support.judges.likeness import Likeness
    from tests.support.judges.our_entries import Ours

#: Foreign decoders by the type of a file; the first two that show it are compared with.
_BY_TYPE = {
    "image/jpeg": "imagemagick gdk-pixbuf pillow",
    "image/png": "imagemagick pillow gdk-pixbuf",
    "image/tiff": "imagemagick gdk-pixbuf pillow tifffile",
    "image/webp": "imagemagick pillow",
    "image/gif": "pillow imagemagick gdk-pixbuf",
    "image/jxl": "djxl",
    "image/avif": "avifdec imagemagick ffmpeg",
    "image/heif": "heif-convert imagemagick",
    "image/heic": "heif-convert imagemagick",
    "image/jp2": "opj_decompress imagemagick ffmpeg",
    "image/jpx": "opj_decompress imagemagick ffmpeg",
    "image/x-jp2-codestream": "opj_decompress imagemagick",
    "image/vnd.adobe.photoshop": "psd-tools imagemagick",
    "image/qoi": "qoi ffmpeg",
}
_OTHERS = "imagemagick gdk-pixbuf pillow"
_FILMS = "ffmpeg"
_LIBRARIES = frozenset({"pillow", "tifffile", "psd-tools", "qoi", "jpeg12", "ljpeg"})
_ENOUGH = 2
#: Programs differ by this much in a sound lossy file: rounding, chroma, the first frame.
_ALIKE = Bounds(colour_levels=3.0, block_levels=24.0, alpha_levels=3.0, shift_px=0.75, shape_px=1.0)
_CELL_PX = 200


class Row(NamedTuple):
    """One file."""

    path: Path
    ours: Ours
    likenesses: dict[str, Likeness]
    refusals: dict[str, str]
    closest: Floats | None
    """What the closest of theirs shows, as large as an entry."""

    @property
    def verdict(self) -> str:
        """One word for the table."""
        if self.ours.stored is None:
            if self.ours.kind == "small":
                return "small"
            return "refused" if self.closest is not None else "none"
        if not self.likenesses:
            return "alone"
        return (
            "alike"
            if any(not found.beyond(_ALIKE) for found in self.likenesses.values())
            else "differs"
        )

    @property
    def badness(self) -> float:
        """By which the worst come first: levels off the closest of theirs."""
        if self.verdict in {"differs", "alike"}:
            return min(
                found.colour_levels + found.alpha_levels + 20 * found.shape_px
                for found in self.likenesses.values()
            )
        return {"refused": 60.0, "alone": 0.5}.get(self.verdict, 0.0)


def look_at(path: Path, ours: Ours) -> Row:
    """Ask foreign decoders about one file."""
    known = _BY_TYPE.get(ours.mime) or (_FILMS if ours.mime.startswith("video/") else _OTHERS)
    likenesses: dict[str, Likeness] = {}
    refusals: dict[str, str] = {}
    entry = ours.entry
    closest: Floats | None = None
    least = float("inf")
    if ours.kind == "small":
        return Row(path, ours, {}, {}, None)
    for name in known.split():
        if len(likenesses) == _ENOUGH or (entry is None and closest is not None):
            break
        try:
            decode = foreign_decoders.safely if name in _LIBRARIES else foreign_decoders.shown
            picture = decode(name, path)
        except foreign_decoders.Refused as refusal:
            refusals[name] = str(refusal)
            continue
        if entry is None:
            closest = _small(picture)
            continue
        found = compared(entry, picture, our_entries.BOX_PX)
        likenesses[name] = found
        if found.colour_levels + found.alpha_levels < least:
            least = found.colour_levels + found.alpha_levels
            closest = _small(picture)
    row = Row(path, ours, likenesses, refusals, closest)
    # The sheet shows what is in doubt; a folder may have very many files that are not.
    return row._replace(closest=None) if row.verdict == "alike" else row


def _small(picture: Floats) -> Floats:
    scale = min(1.0, _CELL_PX / max(picture.shape[:2]))
    width_px, height_px = (max(1, round(edge * scale)) for edge in picture.shape[1::-1])
    return reduced(picture, width_px, height_px)


def lines(rows: Sequence[Row], folder: Path) -> Iterator[str]:
    """Yield the table, tab-separated, the worst first."""
    yield "verdict\toff\tfile\ttype\tours\tsize\ttheirs"
    for row in rows:
        theirs = [
            f"{name}: {found.psnr_db:.1f} dB, {found.colour_levels:.1f} levels"
            + (f" ({'; '.join(beyond)})" if (beyond := found.beyond(_ALIKE)) else "")
            for name, found in row.likenesses.items()
        ]
        if row.ours.stored is None and row.closest is not None:
            theirs.append("shown")
        theirs += [f"{name}: refused: {words}" for name, words in row.refusals.items()]
        ours = f"{row.ours} [{row.ours.loader}]" if row.ours.loader else str(row.ours)
        size = "x".join(map(str, row.ours.size_px))
        cells = (
            row.verdict,
            f"{row.badness:.1f}",
            row.path.relative_to(folder),
            row.ours.mime,
            ours,
            size,
        )
        yield "\t".join([*(str(cell).replace("\t", " ") for cell in cells), " | ".join(theirs)])


def sheet(rows: Sequence[Row], folder: Path) -> Image.Image:
    """Return the contact sheet: two pictures a row, and what they are."""
    across = 3
    wide, high = 2 * _CELL_PX + 30, _CELL_PX + 40
    down = -(-max(len(rows), 1) // across)
    page = Image.new("RGB", (across * wide, down * high), (128, 128, 128))
    pen = ImageDraw.Draw(page)
    for number, row in enumerate(rows):
        left, top = number % across * wide, number // across * high
        name = str(row.path.relative_to(folder)).encode("ascii", "replace").decode()
        pen.text((left + 4, top + 2), f"{number}  {name[-62:]}", (255, 255, 255))
        pen.text(
            (left + 4, top + 14),
            f"{row.verdict} {row.badness:.1f}  {row.ours.message[:55]}".encode(
                "ascii", "replace"
            ).decode(),
            (255, 230, 150),
        )
        for column, picture in enumerate((row.ours.entry, row.closest)):
            if picture is not None:
                layer = Image.fromarray((_small(picture) * 255 + 0.5).astype(np.uint8))
                page.paste(layer, (left + 4 + column * (_CELL_PX + 10), top + 30), layer)
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a folder; 1 when an entry differs from what all others show."""
    parser = argparse.ArgumentParser(prog="scripts/judge", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--out", type=Path, default=Path("build/judge"), help="default: build/judge"
    )
    parser.add_argument("--worst", type=int, default=60, help="files on the sheet (default 60)")
    parser.add_argument("--jobs", type=int, default=2, help="files at a time (default 2)")
    chosen = parser.parse_args(arguments)
    begun_s = time.monotonic()
    folder = chosen.folder.resolve()
    with tempfile.TemporaryDirectory(prefix="judge-") as scratch:
        ours = our_entries.made_of(folder, Path(scratch))
        rows = []
        with ThreadPoolExecutor(chosen.jobs) as pool:
            for row in pool.map(look_at, ours, ours.values()):
                rows.append(row)
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{len(rows)} of {len(ours)} files")
        return _tell(rows, folder, chosen, begun_s)


def _tell(rows: list[Row], folder: Path, chosen: argparse.Namespace, begun_s: float) -> int:
    """Write the table and the sheet; entries are read for it."""
    rows.sort(key=lambda row: (-row.badness, row.path))
    chosen.out.mkdir(parents=True, exist_ok=True)
    table = list(lines(rows, folder))
    (chosen.out / "table.tsv").write_text(
        "\n".join(table) + "\n", encoding="utf-8", errors="surrogateescape"
    )
    doubtful = [row for row in rows if row.verdict in {"differs", "refused"}][: chosen.worst]
    sheet(doubtful, folder).save(chosen.out / "sheet.png")
    counts = Counter(row.verdict for row in rows)
    told = table[: 1 + chosen.worst]
    told.append(
        f"{len(rows)} files: {', '.join(f'{count} {word}' for word, count in counts.most_common())}"
    )
    told.append(
        f"{chosen.out}/table.tsv, {chosen.out}/sheet.png; {time.monotonic() - begun_s:.0f} s"
    )
    sys.stdout.write("\n".join(told).encode(errors="replace").decode() + "\n")
    return 1 if counts["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
