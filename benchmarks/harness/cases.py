"""What is measured: each case is a function whose docstring says what is fair in it and what not.

A case names the trees and flavors, the peers that run by default, and the lanes that the others are
compared with. Nothing is run here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness.entries import FLAVORS

if TYPE_CHECKING:
    from collections.abc import Callable

#: Peers that decode a picture in this or another process of their own making.
POOLS = ("sharp", "pillow", "pyvips", "vipsthumbnail")
#: Peers that need a process per picture.
PROCESS_EACH = ("gdk-pixbuf", "imagemagick")
#: Peers that GNOME, Xfce and KDE call for what gdk-pixbuf does not read.
THUMBNAILERS = ("heif-thumbnailer", "ffmpegthumbnailer")
#: pregen as it comes, and that of `--before`.
TWO_PREGENS = ("pregen", "pregen-before")
PREGEN = (*TWO_PREGENS, "pregen-vips", "pregen-turbo", "pregen-terminal")
#: Programs that do less than the work: they run only where times are multiples of theirs.
YARDSTICKS = ("floor", "find")
#: Peers for the unchanged re-run.
RERUN = ("find", "pregen", "pregen-quick", "pregen-full")


#: Sets of flavors: what a desktop without a HiDPI screen asks for, with one, and all there are.
STANDARD = FLAVORS
HIDPI = (*STANDARD, "x-large")
ALL = (*HIDPI, "xx-large")


class Case(NamedTuple):
    """One comparison. A lane is a peer on a tree, asked for some flavors."""

    name: str
    fairness: str
    trees: tuple[str, ...]
    peers: tuple[str, ...]
    reference: str = "floor"
    """The peer that all times are multiples of."""
    flavors: tuple[tuple[str, ...], ...] = (STANDARD,)
    """What is asked for: lane by lane where there are several."""
    beside: str = "baseline"
    """What a peer's first lane is called, of which its others are multiples."""
    cold: bool = False
    """Measured with the sources out of the page cache as well."""
    filled: bool = False
    """Every run starts from the entries that a first run made."""
    by_default: bool = True


def camera() -> Case:
    """Real camera JPEGs: the corpus 32 times, 704 files, 10 Mpx and 2.7 MB on average.

    Fair: the same files, both flavors, the same number of workers, every program from its start
    to its exit. The copies are real copies, so caches of the processor gain nothing from them.
    Unfair to pregen: the floor, sharp, vipsthumbnail and gdk-pixbuf write no text chunks; only
    sharp applies the colour profile of the four files that have one; nobody else writes through a
    temporary name, looks for entries that are fresh already, keeps a journal or survives a crash.
    One file of 22 ends early; every program takes it, so all do the same number of pictures.
    """
    peers = ("floor", *PREGEN, *POOLS, *PROCESS_EACH)
    return Case("camera", _doc(camera), ("camera",), peers, cold=True)


def camera_few() -> Case:
    """Ten camera JPEGs, 27 MB, as somebody drops into a folder: start-up weighs most.

    Two of the ten have a profile (of sRGB), as photos of phones have. Unfair to whatever takes long
    to start, and to nobody else: a program that is started once for every picture (gdk-pixbuf,
    ImageMagick) has next to no start of its own.
    """
    peers = ("floor", *TWO_PREGENS, *POOLS, *PROCESS_EACH)
    return Case("camera-few", _doc(camera_few), ("camera-10",), peers)


def camera_hidpi() -> Case:
    """The files of `camera` in the sizes that HiDPI screens ask for: up to 512 px, and all four.

    The floor decodes at the scale that covers the largest box: 1/8, 1/4 and 1/2 of what a camera
    makes. Each program runs over two, three and four flavors in every round, and its times are
    compared with those of its first. Fair and unfair as `camera`; Pillow's `draft` and sharp's
    shrink-on-load take the same scales as the floor.
    """
    peers = ("floor", *TWO_PREGENS, *POOLS)
    return Case(
        "camera-hidpi",
        _doc(camera_hidpi),
        ("camera",),
        peers,
        flavors=(STANDARD, HIDPI, ALL),
        beside="two flavors",
    )


def jpeg_24mpx() -> Case:
    """JPEGs of 24 Mpx, 48 files.

    Fair: as in `camera`. The pictures are corpus photos enlarged, with noise added so that they
    have a camera's bytes per pixel: decoding costs what it costs for real ones, within what
    noise can imitate.
    """
    peers = ("floor", *PREGEN, *POOLS, *PROCESS_EACH)
    return Case("jpeg-24mpx", _doc(jpeg_24mpx), ("jpeg-24mpx",), peers)


def jpeg_48mpx() -> Case:
    """JPEGs of 48 Mpx, 24 files: as `jpeg-24mpx`; few files, so start-up weighs more."""
    peers = ("floor", *PREGEN, *POOLS, *PROCESS_EACH)
    return Case("jpeg-48mpx", _doc(jpeg_48mpx), ("jpeg-48mpx",), peers)


def progressive_12mpx() -> Case:
    """The same 48 pictures of 12 Mpx as baseline and as progressive JPEG (jpegtran, lossless).

    Fair: both trees hold the same coefficients; each program runs over both in every round, and
    its own two times are compared. Purposefully unfair to everybody: whoever decodes all scans
    pays for them, the floor too; pregen may read the first scans only.
    """
    trees = ("baseline-12mpx", "progressive-12mpx")
    peers = ("floor", *PREGEN, "sharp", "pillow", "pyvips")
    return Case("progressive-12mpx", _doc(progressive_12mpx), trees, peers)


def progressive_24mpx() -> Case:
    """As `progressive-12mpx`, with the pictures of `jpeg-24mpx`."""
    trees = ("jpeg-24mpx", "progressive-24mpx")
    peers = ("floor", *PREGEN, "sharp", "pillow", "pyvips")
    return Case("progressive-24mpx", _doc(progressive_24mpx), trees, peers)


def png() -> Case:
    """PNG photos of 12 Mpx, 21 files. There is no reduced decoding: inflating is nearly all.

    Unfair to nobody in particular: everybody has to inflate everything. No floor is defined.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH)
    return Case("png", _doc(png), ("png",), peers, reference="pregen")


def webp() -> Case:
    """Lossy WebP of 12 Mpx, 21 files.

    Unfair to Pillow, which has no reduced decoding for WebP, and to gdk-pixbuf, which has no
    WebP loader unless one is installed: its row then shows no pictures.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH)
    return Case("webp", _doc(webp), ("webp",), peers, reference="pregen")


def tiff() -> Case:
    """TIFF of 12 Mpx, 21 files: a third each uncompressed, LZW strips, deflate tiles. As `png`."""
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH)
    return Case("tiff", _doc(tiff), ("tiff",), peers, reference="pregen")


def avif() -> Case:
    """AVIF of 12 Mpx by libaom, 21 files with noise and 21 without; and 24 times one of 20 Mpx.

    All are 4:2:0, 8 bits, one picture. The last one was not made for this; it has a tenth of a bit
    for each pixel, those with noise 1.3. Fair: no program has a reduced decode. The decoder's own
    time goes with the bytes, what follows it with the pixels: the fewer bytes a file has, the more
    programs differ. Unfair to pregen: it looks whether the codes end where the picture does.
    Programs whose libheif or libavif has no AV1 show no pictures.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH, "heif-thumbnailer")
    return Case(
        "avif", _doc(avif), ("avif", "avif-smooth", "avif-found"), peers, reference="pregen"
    )


def heic() -> Case:
    """HEIC, 24 files each: a phone's with a small picture that covers both flavors, and without.

    The second tree has a phone's pictures of 12 Mpx in tiles without a small picture, and photos
    of 12 Mpx coded whole by x265. sharp's wheel has no HEVC and shows no pictures of either tree.
    heif-thumbnailer takes the small picture where it is large enough, as pregen does; the others
    decode the whole picture.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH, *THUMBNAILERS)
    return Case("heic", _doc(heic), ("heic", "heic-bare"), peers, reference="pregen")


def hif() -> Case:
    """HIF as cameras of Sony write it: 33 Mpx, 10 bits of 4:2:2, coded whole; 12 files.

    Each has a picture of 1616 x 1080 beside it, coded with eight rows of padding, which libheif
    refuses since 1.22: whoever goes by it decodes the whole picture. Made from photos by x265; a
    camera's own encoder leaves more bytes. sharp's wheel has no HEVC.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH, *THUMBNAILERS)
    return Case("hif", _doc(hif), ("hif",), peers, reference="pregen")


def jxl() -> Case:
    """JPEG XL of 12 Mpx, 21 files, lossy (VarDCT, distance 1, effort 3).

    No library that can be installed decodes at 1/8 from the LF image: everybody decodes everything.
    Pillow needs a plug-in, sharp's wheel has no JPEG XL.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH)
    return Case("jxl", _doc(jxl), ("jxl",), peers, reference="pregen")


def mixed() -> Case:
    """A folder as people have it: camera JPEGs, turned ones, PNG, WebP, TIFF, AVIF, JPEG 2000.

    Fair only together with the count of pictures: a program that cannot read a format is
    faster for it. Only formats that pregen reads without extras are in it.
    """
    peers = (*TWO_PREGENS, *POOLS, *PROCESS_EACH)
    return Case("mixed", _doc(mixed), ("mixed",), peers, reference="pregen")


def tiny() -> Case:
    """2000 JPEGs of 320x240: what each file costs besides its pixels.

    The floor decodes at full size here, the smallest that covers the box. Programs that need a
    process per picture are left out unless named with --peers: it would measure how fast Linux
    starts processes.
    """
    return Case("tiny", _doc(tiny), ("tiny",), ("floor", *PREGEN, *POOLS))


def rerun_100k() -> Case:
    """A second run over 100,000 small JPEGs whose entries are all there and fresh.

    Purposefully unfair: the reference is `find` printing size and mtime of every file, which is
    the least that knowing "nothing changed" can cost; it neither computes keys nor looks at the
    cache. No peer is in it, since none has a second run that differs from its first.
    """
    return Case(
        "rerun-100k", _doc(rerun_100k), ("library-100k",), RERUN, reference="find", filled=True
    )


def rerun_1m() -> Case:
    """As `rerun-100k`, with 1,000,000 sources beside the 100,000: does ten times as much take ten?

    The sources are hard links of 1000 files, each with its own path, key and entries: the page
    cache has it easier than with a real library. Needs 10 GB, and an hour to fill the cache once.
    """
    return Case(
        "rerun-1m",
        _doc(rerun_1m),
        ("library-100k", "library-1m"),
        RERUN,
        reference="find",
        beside="100k",
        filled=True,
        by_default=False,
    )


def _doc(function: Callable[[], Case]) -> str:
    """A case's fairness note: its docstring."""
    return function.__doc__ or ""


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        camera(),
        camera_few(),
        camera_hidpi(),
        jpeg_24mpx(),
        jpeg_48mpx(),
        progressive_12mpx(),
        progressive_24mpx(),
        png(),
        webp(),
        tiff(),
        avif(),
        heic(),
        hif(),
        jxl(),
        mixed(),
        tiny(),
        rerun_100k(),
        rerun_1m(),
    )
}
