"""Files built to hurt: bombs, polyglots, holes of 10 GB, files that grow while they are read."""

from __future__ import annotations

import gzip
import os
import subprocess
import threading
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.support.files import bombs, films, foreign_entries, pdfs, pictures
from tests.support.files.photo import photo
from tests.support.files.pictures import encode, image, jpeg, put
from tests.support.files.source_trees import few
from tests.support.running.program import PREGEN, Finished, environment, run_pregen
from tests.support.trials.memory_watch import MemoryWatch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("no_leaks"), pytest.mark.xdist_group("hostile")]

#: Address space that no process of the run may pass: a worker at its start has 0.6 GB of it.
_LIMIT_BYTES = 2 << 30
#: What each bomb may come to. Nothing is said where a small picture is a right answer.
_REFUSED = {
    "header.tif": "too-large",
    "header.j2k": "too-large",
    "header.psd": "too-large",
    "header.tga": "too-large",
    "header.pcx": "too-large",
    "header.qoi": "too-large",
    "header.ppm": "too-large",
    "header.webp": "invalid",
    "canvas.webp": "invalid",
    "header.avif": "invalid",
    "entities.svg": "invalid",
    "deep.svg": "invalid",
    "zeros.svgz": "invalid",
    "tree.pdf": "invalid",
    "digits.ppm": "invalid",
    "png.ico": "invalid",
    "frames.mov": "invalid",
    "zip.jpg": "invalid",
    "gzip.svgz": "not-a-picture",
    "colours.xpm": "truncated",
    "axes.fits": "too-large",
    "runs.hdr": "truncated",
    "header.pfm": "too-large",
    "header.pam": "too-large",
    "flat.odt": "not-a-picture",
    "lie.odt": "invalid",
    "overlap.cbz": "invalid",
    "crowd.odt": "unsupported",
    "lie64.odt": "invalid",
    "quine.ora": "unsupported",
    "cover.epub": "too-large",
    "entities.epub": "invalid",
    "blanks.epub": "unsupported",
    "deep.epub": "invalid",
}
#: These are drawn (nothing in them is forbidden) or come to an end by a limit.
_ANY = frozenset({"made", "small", "invalid", "truncated", "crashed", "timed-out", "out-of-memory"})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    few(tmp_path / "photos", 2)
    return tmp_path / "photos"


def run(photos: Path, *more: str, limit_bytes: int = 0) -> Finished:
    """Run and check what holds whatever there is: ordinary pictures are made, nothing is left."""
    cache = photos.parent / "cache"
    prefix = ("prlimit", f"--as={limit_bytes}", "--") if limit_bytes else ()
    done = run_pregen("run", "--json", "-v", *more, photos, cache=cache, prefix=prefix)
    assert done.code in {0, 3}, done
    assert "Traceback" not in done.err
    assert not foreign_entries.leftovers(cache)
    kinds = done.kinds()
    assert (kinds["00.jpg"], kinds["01.jpg"]) == ("made", "made")
    return done


@pytest.mark.slow
def test_bombs_of_every_format_cost_their_own_file_only(photos: Path) -> None:
    for name, make in bombs.BOMBS.items():
        put(photos / name, make())
    done = run(photos, "--workers", "2", "--timeout", "15", limit_bytes=_LIMIT_BYTES)
    kinds = done.kinds()
    assert {name: kinds[name] for name in _REFUSED} == _REFUSED
    others = {name: kind for name, kind in kinds.items() if name in bombs.BOMBS.keys() - _REFUSED}
    assert {name: kind for name, kind in others.items() if kind not in _ANY} == {}
    assert "archive.zip" not in kinds, "no name of a picture: never opened"
    assert not {record["type"] for record in done.records} - {"outcome", "progress", "summary"}


def test_an_icon_that_holds_a_bomb_costs_no_memory(photos: Path) -> None:
    for name in ("png.ico", "zeros.svgz"):
        put(photos / name, bombs.BOMBS[name]())
    process = subprocess.Popen(
        [*PREGEN, "run", "--workers", "1", photos],
        env=environment(photos.parent / "cache", None),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with MemoryWatch(process.pid) as watch:
        assert process.wait(60) == 3
    # 10000 Mpx of the icon, 300 MB of the drawing.
    assert watch.most_resident_bytes < 250 << 20


# --- polyglots ----------------------------------------------------------------------------------


def _zipped() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.html", "<script>alert(1)</script>")
    return out.getvalue()


def test_a_file_of_two_kinds_is_what_it_begins_as(photos: Path) -> None:
    html = b"<html><script>alert(1)</script><svg xmlns='http://www.w3.org/2000/svg'/></html>"
    picture, drawing = jpeg(300, 200), pictures.svg()
    gif = encode(image(300, 200), "GIF")
    comment = b"\xff\xfe" + (len(html) + 2).to_bytes(2, "big") + html
    polyglots = {
        "jpeg+zip.pdf": (picture + _zipped(), "image/jpeg"),
        "jpeg+html": (picture[:2] + comment + picture[2:], "image/jpeg"),
        "jpeg+pdf.pdf": (picture + pdfs.pdf(), "image/jpeg"),
        "gif+js": (gif + b"/*", "image/gif"),
        "png+jpeg.jpg": (encode(image(300, 200), "PNG") + picture, "image/png"),
        "pdf+jpeg.jpg": (pdfs.pdf() + picture[:2000] + b"\nstartxref\n", "application/pdf"),
        "svg+zip.svg": (drawing.replace(b"</svg>", b"<!--PK--></svg>"), "image/svg+xml"),
        "gzip+svg": (gzip.compress(drawing), "image/svg+xml-compressed"),
        "tiff+png.png": (encode(image(300, 200), "TIFF") + html, "image/tiff"),
    }
    for name, (data, _) in polyglots.items():
        put(photos / name, data)
    done = run(photos)
    found = {
        os.path.basename(path).decode(): record["mime"]
        for path, record in done.outcomes.items()
        if record["kind"] == "made"
    }
    wanted = {name: mime for name, (_, mime) in polyglots.items() if name != "pdf+jpeg.jpg"}
    assert {name: found.get(name) for name in wanted} == wanted
    # PDFium finds its tables from the end, where another file lies now.
    assert done.kinds()["pdf+jpeg.jpg"] in {"made", "invalid", "truncated"}


def test_an_svg_reaches_no_other_file(photos: Path) -> None:
    secret = put(photos.parent / "secret.png", encode(image(200, 200).point(lambda _: 255), "PNG"))
    uri, svg = secret.as_uri().encode(), b'<svg xmlns="http://www.w3.org/2000/svg" width="200"'
    link = b' height="200" xmlns:l="http://www.w3.org/1999/xlink"><rect width="200" height="200"/>'
    for number, inner in enumerate(
        (
            b'<image l:href="%b" width="200" height="200"/>' % uri,
            b'<image href="%b" width="200" height="200"/>' % os.fsencode(secret),
            b'<style>@import url("%b"); rect { fill: url("%b"); }</style>' % (uri, uri),
        )
    ):
        put(photos / f"{number}.svg", svg + link + inner + b"</svg>")
    doctype = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "%b">]>' % uri
    put(photos / "x.svg", doctype + svg + link + b"<text>&x;</text></svg>")
    kinds = run(photos).kinds()
    cache = photos.parent / "cache"
    for number in range(3):
        if kinds[f"{number}.svg"] == "made":
            entry = foreign_entries.read(cache, "large", photos / f"{number}.svg")
            assert entry.image.getpixel((100, 100)) != (255, 255, 255, 255)
    assert kinds["x.svg"] in {"made", "invalid"}


# --- holes, and files that grow -----------------------------------------------------------------

_TEN_GB = 10 * 10**9


def test_files_of_10_gb_that_are_all_hole_take_no_time(photos: Path) -> None:
    beginnings = {
        "zeros.jpg": b"",
        "zeros.tif": b"",
        "sparse.jpg": jpeg(1200, 900)[:3000],
        "sparse.png": encode(image(600, 400), "PNG")[:3000],
        "sparse.gif": encode(image(600, 400), "GIF")[:3000],
        "sparse.webp": encode(image(600, 400), "WEBP")[:1000],
        "sparse.tif": encode(image(600, 400), "TIFF")[:8] + bytes(100),
        "sparse.bmp": encode(image(600, 400), "BMP")[:3000],
        "sparse.ppm": encode(image(600, 400), "PPM")[:3000],
        "sparse.avif": encode(image(200, 150), "AVIF", speed=10)[:1000],
        "sparse.jp2": encode(image(200, 150), "JPEG2000")[:1000],
        "sparse.psd": pictures.psd(200, 150)[:1000],
        "sparse.ico": encode(image(128, 128), "ICO")[:100],
        "sparse.svg": pictures.svg()[:150],
        "sparse.pdf": pdfs.pdf()[:300],
        "sparse.mp4": films.film([photo(176, 130, 1)] * 3)[:2000],
    }
    for name, data in beginnings.items():
        path = put(photos / name, data)
        try:
            os.truncate(path, _TEN_GB)
        except OSError:
            pytest.skip("needs a file system that has sparse files of 10 GB")
    done = run(photos, "--workers", "2", limit_bytes=_LIMIT_BYTES)
    kinds = done.kinds()
    allowed = {"invalid", "truncated", "made", "unsupported", "small"}
    assert {name: kinds[name] for name in beginnings if kinds[name] not in allowed} == {}
    for record in done.outcomes.values():
        assert sum(record["ns"].values()) < 20e9, record
        assert record["bytes"] < 10**7


def test_files_that_grow_for_ever_are_left_for_later_and_hold_nobody_up(photos: Path) -> None:
    growing = {
        "growing.jpg": jpeg(3000, 2000),
        "growing.png": encode(image(1500, 1500), "PNG"),
        "growing.tif": encode(image(1500, 1500), "TIFF"),
        "growing.mts": films.film([photo(640, 480, n) for n in range(10)], "mpegts"),
        "growing.pdf": pdfs.pdf(),
    }
    stop = threading.Event()

    def grow() -> None:
        files = [(photos / name).open("ab", buffering=0) for name in growing]
        while not stop.wait(0.002):
            for file, data in zip(files, growing.values(), strict=True):
                file.write(data[:4096])
        for file in files:
            file.close()

    for name, data in growing.items():
        put(photos / name, data)
    writer = threading.Thread(target=grow)
    writer.start()
    try:
        kinds = run(photos, "--workers", "2").kinds()
    finally:
        stop.set()
        writer.join()
    assert {kinds[name] for name in growing} <= {"changed", "made", "truncated", "invalid"}
    assert "changed" in kinds.values()
    # A film or a PDF whose end went away meanwhile may be damaged for now, and is no more then.
    again = run_pregen("run", "--json", "-v", photos, cache=photos.parent / "cache").kinds()
    assert {again["growing.jpg"], again["growing.png"], again["growing.tif"]} <= {"made", "fresh"}
