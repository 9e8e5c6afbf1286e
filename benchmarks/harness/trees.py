"""Makes the trees of sources that the cases run over, and keeps them for the next time.

Run as a program by the harness, so that picture libraries stay out of the process that measures:

    python -m benchmarks.harness.trees TREE WORK CORPUS

A tree is a folder WORK/trees/NAME and a manifest beside it, which appears last. Every file has its
own name (some peers name their output after it) and, but for `library-1m`, its own mtime.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyvips

#: Goes up when a recipe changes, so that no run uses a tree of an older recipe.
RECIPE_VERSION = 1

#: mtimes start at 2020-09-13 12:26:40 UTC and go up by a minute and some microseconds.
_FIRST_MTIME_NS = 1_600_000_000 * 10**9
_MTIME_STEP_NS = 61_123_457_000

#: Noise that makes an enlarged photo as hard to compress as a camera's own: with these, 24 Mpx
#: take 7 MB at quality 92, what cameras of that size write (0.3 bytes a pixel; the corpus: 0.26).
_NOISE_SIGMA = 4
_NOISE_TILE_PX = 1024
_QUALITY = 92

#: A camera of 33 Mpx by Sony, and what it stores beside the picture.
_HIF_PX = (7008, 4672)
_HIF_PREVIEW_PX = (1616, 1080)

#: In a JPEG: what begins a segment, and the high bits of the kinds APP0 to APP15.
_MARKER, _APPLICATION = 0xFF, 0xE0

#: Files in a folder of the trees that have very many.
_FOLDER_FILES = 1000

#: Formats of the corpus that pregen reads without extras. HEIC, RAW and video are left out: most
#: peers cannot read them, and the pictures they left out would look like speed.
_MIXED_SUFFIXES = {".png", ".webp", ".tif", ".avif", ".jp2"}


def tree_path(work: Path, name: str) -> Path:
    """Where a tree lives."""
    return work / "trees" / f"{name}-v{RECIPE_VERSION}"


def manifest_path(work: Path, name: str) -> Path:
    """Where the list of a tree's sources lives; it exists when the tree is complete."""
    return work / "trees" / f"{name}-v{RECIPE_VERSION}.jsonl"


def make(name: str, work: Path, corpus: Path) -> None:
    """Make the tree, unless it is there."""
    if manifest_path(work, name).exists():
        return
    folder = tree_path(work, name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    RECIPES[name](folder, corpus, work)
    entries.write_manifest(manifest_path(work, name), folder, _finish(folder))
    os.sync()


def _finish(folder: Path) -> Iterator[entries.Source]:
    """Set the mtimes and describe every file."""
    edges: dict[int, int] = {}
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        facts = path.stat()
        if facts.st_ino not in edges:
            mtime_ns = _FIRST_MTIME_NS + number * _MTIME_STEP_NS
            os.utime(path, ns=(mtime_ns, mtime_ns))
            edges[facts.st_ino] = _long_edge_px(path)
            facts = path.stat()
        yield entries.Source(str(path), facts.st_size, facts.st_mtime_ns, edges[facts.st_ino])


def _long_edge_px(path: Path) -> int:
    """Long edge of the picture in a file."""
    import pyvips  # noqa: PLC0415 - only the program needs it, not those who import the paths
    from PIL import Image  # noqa: PLC0415 - likewise

    if path.suffix == ".jxl":
        import pylibjxl  # noqa: PLC0415 - an extra

        rows, columns = pylibjxl.decode(path.read_bytes()).shape[:2]
        return max(int(rows), int(columns))
    try:
        picture = pyvips.Image.new_from_file(str(path))
        return max(int(picture.width), int(picture.height))
    except pyvips.Error:
        with Image.open(path) as opened:
            return max(opened.size)


def _copies(originals: list[Path], folder: Path, copies: int) -> None:
    """Real copies (not links), each copy of the set in its own folder, names unique."""
    for copy in range(copies):
        place = folder / f"{copy:03}"
        place.mkdir(parents=True)
        for original in originals:
            shutil.copyfile(original, place / f"{copy:03}-{original.name}")


def _photos(corpus: Path) -> list[Path]:
    """The camera corpus without the file that ends early: recipes decode these fully."""
    return [
        path
        for path in sorted((corpus / "camera").iterdir())
        if path.name != "user-comment-encoding.jpg"
    ]


def _scaled(photo: Path, width_px: int, height_px: int, seed: int | None) -> pyvips.Image:
    """A photo filled into a new size, with noise like a sensor's; without a seed there is none."""
    import pyvips  # noqa: PLC0415 - as above

    pyvips.cache_set_max(0)
    picture = pyvips.Image.thumbnail(str(photo), width_px, height=height_px, crop="centre")
    if seed is None:
        return picture[:3]
    edge = _NOISE_TILE_PX
    tile = pyvips.Image.gaussnoise(edge, edge, sigma=_NOISE_SIGMA, mean=0, seed=seed).copy_memory()
    noise = tile.replicate(-(-width_px // edge), -(-height_px // edge))
    return (
        (picture[:3] + noise.crop(0, 0, width_px, height_px))
        .cast("uchar")
        .copy(interpretation="srgb")
    )


def camera(folder: Path, corpus: Path, _work: Path, copies: int, count: int | None = None) -> None:
    """The camera corpus as it is, or its first files, replicated."""
    _copies(sorted((corpus / "camera").iterdir())[:count], folder, copies)


def share(folder: Path, corpus: Path, _work: Path, copies: int, first: int = 0) -> None:
    """The camera corpus replicated, no two files alike: nothing is made from another's entry."""
    for copy in range(first, first + copies):
        place = folder / f"{copy:03}"
        place.mkdir()
        for original in sorted((corpus / "camera").iterdir()):
            data = _marked(original.read_bytes(), copy)
            (place / f"{copy:03}-{original.name}").write_bytes(data)


def share_small(folder: Path, corpus: Path, work: Path, count: int) -> None:
    """The files of `tiny`, no two alike."""
    tiny(folder, corpus, work, count)
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        path.write_bytes(_marked(path.read_bytes(), number))


def _marked(jpeg: bytes, number: int) -> bytes:
    """A JPEG with a comment behind its application segments: another file of the same picture.

    Where a camera appended further pictures, its index of them is wrong by the comment's length.
    """
    place = 2
    while jpeg[place] == _MARKER and jpeg[place + 1] & 0xF0 == _APPLICATION:
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    comment = b"\xff\xfe\x00\x0a%08d" % number
    return jpeg[:place] + comment + jpeg[place:]


def jpeg(
    folder: Path, corpus: Path, _work: Path, size_px: tuple[int, int], count: int, copies: int
) -> None:
    """Photos enlarged to a size the corpus does not have, as a camera would write them."""
    originals = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for number, photo in zip(range(count), _photos(corpus), strict=False):
            originals.append(Path(scratch) / f"{number:03}.jpg")
            picture = _scaled(photo, *size_px, seed=number)
            picture.jpegsave(str(originals[-1]), Q=_QUALITY)
        _copies(originals, folder, copies)


def progressive(folder: Path, corpus: Path, work: Path, twin: str) -> None:
    """The twin's very coefficients in progressive order, by jpegtran: no second generation."""
    if shutil.which("jpegtran") is None:
        sys.exit("jpegtran is missing: see benchmarks/setup")
    make(twin, work, corpus)
    for original in sorted(p for p in tree_path(work, twin).rglob("*") if p.is_file()):
        target = folder / original.relative_to(tree_path(work, twin))
        target.parent.mkdir(exist_ok=True)
        command = [
            "jpegtran",
            "-progressive",
            "-copy",
            "all",
            "-outfile",
            str(target),
            str(original),
        ]
        subprocess.run(command, check=True)


def png(folder: Path, corpus: Path, _work: Path, count: int) -> None:
    """12-Mpx photos as PNG, RGB, default compression: far larger than a screenshot's."""
    for number, photo in zip(range(count), _photos(corpus), strict=False):
        _scaled(photo, 4000, 3000, seed=number).pngsave(str(folder / f"{number:03}.png"))


def webp(folder: Path, corpus: Path, _work: Path, count: int) -> None:
    """12-Mpx photos as lossy WebP, quality 80."""
    for number, photo in zip(range(count), _photos(corpus), strict=False):
        picture = _scaled(photo, 4000, 3000, seed=number)
        picture.webpsave(str(folder / f"{number:03}.webp"), Q=80, effort=2)


def tiff(folder: Path, corpus: Path, _work: Path, count: int) -> None:
    """12-Mpx photos as TIFF: uncompressed strips, LZW strips and deflate tiles in turn."""
    for number, photo in zip(range(count), _photos(corpus), strict=False):
        picture = _scaled(photo, 4000, 3000, seed=number)
        target = str(folder / f"{number:03}.tif")
        if number % 3 == 0:
            picture.tiffsave(target, compression="none")
        elif number % 3 == 1:
            picture.tiffsave(target, compression="lzw", predictor="horizontal")
        else:
            picture.tiffsave(target, compression="deflate", tile=True)


def avif(folder: Path, corpus: Path, _work: Path, count: int, *, smooth: bool) -> None:
    """12-Mpx photos as AVIF by libaom: with noise, 2 MB each; or smooth as on web pages, 0.7 MB."""
    from PIL import Image  # noqa: PLC0415 - as above

    for number, photo in zip(range(count), _photos(corpus), strict=False):
        picture = _scaled(photo, 4000, 3000, seed=None if smooth else number)
        quality, speed = (60, 8) if smooth else (75, 9)
        target = folder / f"{number:03}.avif"
        Image.fromarray(picture.numpy()).save(target, quality=quality, speed=speed)


def avif_found(folder: Path, corpus: Path, _work: Path, copies: int) -> None:
    """A 20-Mpx AVIF that was not made for this: 0.3 MB, a tenth of a bit for each pixel."""
    _copies([corpus / "formats" / "photo.avif"], folder, copies)


def heic(folder: Path, corpus: Path, _work: Path, copies: int) -> None:
    """A phone's photo with a small picture that covers both flavors."""
    _copies([corpus / "formats" / "iphone.heic"], folder, copies)


def heic_bare(folder: Path, corpus: Path, _work: Path, count: int, copies: int) -> None:
    """A phone's photo without a small picture, and as many 12-Mpx photos coded whole by x265."""
    import pillow_heif  # noqa: PLC0415 - an extra
    from PIL import Image  # noqa: PLC0415 - as above

    _copies([corpus / "formats" / "exif-at-eof.heic"], folder, count * copies)
    originals = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for number, photo in zip(range(count), _photos(corpus), strict=False):
            picture = Image.fromarray(_scaled(photo, 4032, 3008, seed=number).numpy())
            originals.append(Path(scratch) / f"{number:03}.heic")
            pillow_heif.from_pillow(picture).save(originals[-1], quality=75)
        _copies(originals, folder / "whole", copies)


def hif(folder: Path, corpus: Path, _work: Path, count: int, copies: int) -> None:
    """33-Mpx photos of 10 bits, 4:2:2, each with a smaller, padded one, as Sony writes them."""
    import numpy as np  # noqa: PLC0415 - as above
    import pillow_heif  # noqa: PLC0415 - an extra
    from PIL import Image  # noqa: PLC0415 - as above

    from tests.support.files import heifs  # noqa: PLC0415 - as above

    width_px, height_px = _HIF_PREVIEW_PX
    originals = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        for number, photo in zip(range(count), _photos(corpus), strict=False):
            samples = _scaled(photo, *_HIF_PX, seed=number).numpy()
            deep = (samples.astype(np.uint16) << 8).tobytes()
            main = pillow_heif.from_bytes("RGB;16", _HIF_PX, deep)
            coded = io.BytesIO()
            main.save(coded, quality=75, chroma=422)
            shown = Image.fromarray(samples).resize(_HIF_PREVIEW_PX)
            preview = Image.new("RGB", (width_px, -(-height_px // 16) * 16))
            preview.paste(shown)
            originals.append(Path(scratch) / f"{number:03}.hif")
            data = heifs.camera_hif(coded.getvalue(), heifs.heic(preview), _HIF_PREVIEW_PX)
            originals[-1].write_bytes(data)
        _copies(originals, folder, copies)


def jxl(folder: Path, corpus: Path, _work: Path, count: int) -> None:
    """12-Mpx photos as lossy JPEG XL, distance 1."""
    import pylibjxl  # noqa: PLC0415 - an extra

    for number, photo in zip(range(count), _photos(corpus), strict=False):
        samples = _scaled(photo, 4000, 3000, seed=number).numpy()
        (folder / f"{number:03}.jxl").write_bytes(pylibjxl.encode(samples, effort=3))


def mixed(folder: Path, corpus: Path, work: Path, copies: int) -> None:
    """A family's folder: mostly camera JPEGs, some already turned, and a few other formats."""
    others = [p for p in sorted((corpus / "formats").iterdir()) if p.suffix in _MIXED_SUFFIXES]
    made: list[Path] = []
    for name in ("png", "webp", "tiff"):
        make(name, work, corpus)
        made += sorted(tree_path(work, name).iterdir())[:2]
    originals = [
        *sorted((corpus / "camera").iterdir()),
        *sorted((corpus / "orientation").iterdir()),
        *(path for path in others if _long_edge_px(path) > entries.BOXES_PX["normal"]),
        *made,
    ]
    _copies(originals, folder, copies)


def tiny(folder: Path, corpus: Path, _work: Path, count: int) -> None:
    """JPEGs of 320x240 (20 KB), as a web page or an old phone leaves them."""
    pictures = [
        _scaled(photo, 320, 240, seed=seed).jpegsave_buffer(Q=80, keep="none")
        for seed, photo in itertools.product(range(4), _photos(corpus))
    ]
    _small_files(folder, pictures, count)


def library(folder: Path, _corpus: Path, _work: Path, count: int, *, linked: bool) -> None:
    """Very many JPEGs of 160x120, plain colours so that source and entries take a block each.

    `linked`: hard links of the first thousand, to save the disk.
    """
    import pyvips  # noqa: PLC0415 - as above

    black = pyvips.Image.black(160, 120, bands=3).copy(interpretation="srgb")
    pictures = [
        black.new_from_image(
            [number % 10 * 25, number // 10 % 10 * 25, number // 100 * 25]
        ).jpegsave_buffer(Q=80)
        for number in range(_FOLDER_FILES)
    ]
    _small_files(folder, pictures, count, linked=linked)


def _small_files(folder: Path, pictures: list[bytes], count: int, *, linked: bool = False) -> None:
    """Fill folders of 1000 files each."""
    originals: list[Path] = []
    for number in range(count):
        place = folder / f"{number // _FOLDER_FILES:04}"
        path = place / f"picture-{number:07}.jpg"
        if number % _FOLDER_FILES == 0:
            place.mkdir()
        if linked and len(originals) == _FOLDER_FILES:
            path.hardlink_to(originals[number % _FOLDER_FILES])
        else:
            path.write_bytes(pictures[number % len(pictures)])
            originals.append(path)


RECIPES: dict[str, Callable[[Path, Path, Path], None]] = {
    "camera": partial(camera, copies=32),
    "camera-10": partial(camera, copies=1, count=10),
    "share": partial(share, copies=4),
    "share-long": partial(share, copies=16, first=100),
    "share-few": partial(share, copies=1, first=900),
    "share-small": partial(share_small, count=2000),
    "jpeg-24mpx": partial(jpeg, size_px=(6000, 4000), count=16, copies=3),
    "jpeg-48mpx": partial(jpeg, size_px=(8064, 6048), count=8, copies=3),
    "baseline-12mpx": partial(jpeg, size_px=(4000, 3000), count=16, copies=3),
    "progressive-12mpx": partial(progressive, twin="baseline-12mpx"),
    "progressive-24mpx": partial(progressive, twin="jpeg-24mpx"),
    "png": partial(png, count=21),
    "webp": partial(webp, count=21),
    "tiff": partial(tiff, count=21),
    "avif": partial(avif, count=21, smooth=False),
    "avif-smooth": partial(avif, count=21, smooth=True),
    "avif-found": partial(avif_found, copies=24),
    "heic": partial(heic, copies=24),
    "heic-bare": partial(heic_bare, count=4, copies=3),
    "hif": partial(hif, count=3, copies=4),
    "jxl": partial(jxl, count=21),
    "mixed": partial(mixed, copies=6),
    "tiny": partial(tiny, count=2000),
    "library-100k": partial(library, count=100_000, linked=False),
    "library-1m": partial(library, count=1_000_000, linked=True),
}


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
