"""libFuzzer at our C code, under sanitizers, beside plain twins, libjpeg-turbo, libpng and libwebp.

Targets: `jpegdc_target.c`, `cursors_target.c`, `chain_target.c`, `vp8_target.c`, `vp8l_target.c`
and `boxed_target.c` tell what is checked. Inputs begin with sound files of every kind that the code
takes and with what was found before; a long search keeps what reaches something new below
build/soak, and begins there the next time. A finding is a file to look at; mended, it goes to
tests/imaging/finds under the target's name, as chain-*.bin (jpegdc-*.bin for both targets of the
decoder), and the suite replays it for ever.
"""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image

from pregen.imaging.containers import jpeg, jpeg_scans, webp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[3]
#: Where the decoder lies, `jpeg.h`.
DECODER = ROOT / "pregen" / "imaging" / "c"
FINDS = ROOT / "tests" / "imaging" / "finds"
#: What a long search keeps, in a folder for each target.
KEPT = ROOT / "build" / "soak"
#: The decoder alone, its three cursors beside one, all of the way from a JPEG or samples to the
#: pictures of entries, the first partition of a lossy WebP, the count of the codes of a lossless
#: one, and rows, tiles and LZW of other formats.
TARGETS = ("jpegdc", "cursors", "chain", "vp8", "vp8l", "boxed")
#: What precedes samples or a JPEG in an input of `chain_target.c`.
CHAIN_HEAD_BYTES = 10
#: What precedes samples or LZW in an input of `boxed_target.c`.
BOXED_HEAD_BYTES = 12
#: What precedes the first partition of a lossy WebP (RFC 6386, 9.1).
VP8_HEADER_BYTES = 10
#: All of `undefined` ends the process; float-cast-overflow is no part of it.
SANITIZERS = ("-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")
_LIBRARIES = ("-ljpeg", "-lpng", "-lwebp", "-lz", "-lm")
#: Without a note of each comparison there are three times as many inputs.
_NO_COMPARISONS = "-fno-sanitize-coverage=trace-cmp"
#: The notes lead a long search farther; between cursors they lead nowhere.
_FOR_LONG = dict.fromkeys(TARGETS, ("-O1",)) | {"cursors": ("-O1", _NO_COMPARISONS)}
#: The optimiser takes four times as long as what a short search saves by it.
_FOR_SHORT = ("-O0", _NO_COMPARISONS)
#: Larger inputs reach nothing new, and take longer.
_MOST_BYTES = 4096
#: No input of this size takes a hundredth of it.
_DEADLINE_S = 60
_COUNTS = re.compile(r"counts: (\d+) inputs, (\d+) accepted, (\d+) samples compared, (\d+) of")
_FOUND = re.compile(r"FOUND: .*|.*Sanitizer: .*|.*runtime error: .*|.*ERROR: libFuzzer: .*")


class Search(NamedTuple):
    """What came of one search."""

    inputs: int
    accepted: int
    """So many the decoder took, and all of them were compared."""
    samples: int
    apart: int
    """Samples that are not libjpeg-turbo's, all within the bound."""
    findings: tuple[str, ...]
    """What the target, the sanitizers or libFuzzer said; empty when nothing is wrong."""
    said: str
    """All that was said, for people."""


def source_of(name: str) -> Path:
    """Return the source of a target."""
    return Path(__file__).with_name(f"{name}_target.c")


def build(
    folder: Path, decoder: Path = DECODER, name: str = "jpegdc", *, short: bool = False
) -> Path:
    """Compile a target with clang; return the program.

    Args:
        folder: where it goes.
        decoder: the folder of `jpeg.h`.
        name: of `TARGETS`.
        short: for a search that takes no longer than the optimiser.

    Raises:
        CalledProcessError: clang, its run-time library or the libraries' headers are missing.
    """
    source = source_of(name)
    target, twin = folder / f"{name}-target", folder / f"{name}-plain.o"
    common = (
        "clang",
        "-gline-tables-only",
        *(_FOR_SHORT if short else _FOR_LONG[name]),
        "-ffp-contract=off",
        "-Wall",
        "-Wextra",
        "-Werror",
        *SANITIZERS,
        f"-I{decoder}",
    )
    plain = ("-fsanitize=fuzzer-no-link", "-DPLAIN_TWIN", "-c", source, "-o", twin)
    whole: tuple[str | Path, ...] = ("-fsanitize=fuzzer", source)
    has_twin = "PLAIN_TWIN" in source.read_text()
    if has_twin:
        subprocess.run([*common, *plain], check=True, capture_output=True)
        whole = (*whole, twin)
    link = (*whole, *_LIBRARIES, "-o", target)
    subprocess.run([*common, *link], check=True, capture_output=True)
    return target


def search(target: Path, inputs: Sequence[Path], options: Iterable[str], artifacts: Path) -> Search:
    """Run the target.

    Args:
        target: of `build`.
        inputs: folders to begin with, the first of which takes what reaches something new; or
            files, which are only tried.
        options: more options of libFuzzer.
        artifacts: a folder for inputs that were found.
    """
    fixed = (f"-max_len={_MOST_BYTES}", f"-timeout={_DEADLINE_S}", f"-artifact_prefix={artifacts}/")
    # The peak of memory that libFuzzer limits begins with that of the process which becomes the
    # target (getrusage(2)), the suite's: a shell in between begins anew.
    between = ("sh", "-c", '"$@"; exit $?', "sh")
    done = subprocess.run(
        [*between, target, *fixed, *options, *inputs],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    counts = _COUNTS.search(done.stderr)
    inputs_, accepted, samples, apart = map(int, counts.groups()) if counts else (0, 0, 0, 0)
    findings = tuple(_FOUND.findall(done.stderr)) if done.returncode else ()
    if done.returncode and not findings:
        findings = (f"it ended with {done.returncode}",)
    return Search(inputs_, accepted, samples, apart, findings, done.stderr)


# --- what it begins with ------------------------------------------------------------------------

_SAMPLINGS = ("444", "422", "440", "420")
_SIZES_PX = ((16, 16), (41, 23), (7, 50))


def seeds() -> Iterator[bytes]:
    """Yield small sound JPEGs of all kinds that the decoder takes, and some that it leaves."""
    # The target takes an input at a scale that its size tells.
    yield from (beyond_reach() + bytes(4 * number) for number in range(4))
    for number, (width_px, height_px) in enumerate(_SIZES_PX):
        noise = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
        picture = Image.fromarray(noise).resize((width_px, height_px))
        yield _encoded(picture.convert("L"), quality=60)
        yield _encoded(picture.convert("L"), quality=60, progressive=True)
        yield _encoded(picture, keep_rgb=True)
        yield separate(picture)
        for sampling in _SAMPLINGS:
            samples = np.ascontiguousarray(picture)
            yield bytes(simplejpeg.encode_jpeg(samples, quality=90, colorsubsampling=sampling))
        for subsampling in range(3):
            for quality in (20, 95):
                kind = {"subsampling": subsampling, "quality": quality}
                yield _encoded(picture, **kind, restart_marker_blocks=1, optimize=True)
                whole = _encoded(picture, **kind, progressive=True)
                yield whole
                head = jpeg.read(whole)
                if head is not None:
                    yield jpeg_scans.reduced(whole, head)
    yield from many_blocks()
    # Likewise the bytes of a range.
    yield from (one_table(30, 20) + bytes(number) for number in range(7))
    # As long as the window of a target.
    yield from (longest_codes(size, size // 246) for size in (984, 1000, 1024))


def many_blocks() -> Iterator[bytes]:
    """Yield JPEGs that several cursors read: with enough blocks for many ranges, in 4096 bytes."""
    noise = np.random.default_rng(7).integers(0, 256, (16, 20, 3), np.uint8)
    picture = Image.fromarray(noise).resize((168, 136), Image.Resampling.BICUBIC)
    for restart in ({}, {"restart_marker_blocks": 5}, {"restart_marker_rows": 2}):
        yield _encoded(picture.convert("L"), quality=45, **restart)
        for subsampling in range(3):
            yield _encoded(
                picture, subsampling=subsampling, quality=20 + 5 * subsampling, **restart
            )


def one_table(columns: int, rows: int) -> bytes:
    """Return a JPEG of flat blocks, all components of which have the same Huffman tables.

    A cursor that begins in the middle cannot tell which of them it is in.
    """
    size = (8 * rows).to_bytes(2, "big") + (8 * columns).to_bytes(2, "big")
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    # Codes for DC of 0 to 3 bits, and for the end of a block: T.81, annex C.
    tables = bytes([0, 0, 2, 2, *[0] * 13, 0, 1, 2, 3]) + bytes([0x10, 0, 1, *[0] * 14, 0])
    codes = ("00", "01", "100", "101")
    chance = random.Random(3)  # noqa: S311 - a picture, no secret
    bits = ""
    for _ in range(3 * columns * rows):
        width = chance.randrange(4)
        bits += codes[width] + format(chance.getrandbits(3), "03b")[:width] + "00"
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    segments = (
        b"\xdb" + bytes([0, 67, 0]) + b"\2" * 64,
        b"\xc0\0\x11\x08" + size + b"\3" + components,
        b"\xc4" + (2 + len(tables)).to_bytes(2, "big") + tables,
        b"\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0" + coded,
        b"\xd9",
    )
    return b"\xff\xd8" + b"".join(b"\xff" + segment for segment in segments)


def longest_codes(coded_bytes: int, columns: int) -> bytes:
    """Return a grey JPEG of two intervals, the first of zeros: codes of 16 bits, values of 15.

    No table of steps knows such a code. A block takes 1,969 bits, the most that there is.
    """
    size = (16).to_bytes(2, "big") + (8 * columns).to_bytes(2, "big")
    lengths = bytes([*[0] * 15, 1])
    tables = b"\0" + lengths + b"\0" + b"\x10" + lengths + b"\x0f"
    segments = (
        b"\xdb" + bytes([0, 67, 0]) + b"\2" * 64,
        b"\xc0\0\x0b\x08" + size + bytes([1, 1, 0x11, 0]),
        b"\xc4" + (2 + len(tables)).to_bytes(2, "big") + tables,
        b"\xdd\0\4" + columns.to_bytes(2, "big"),
        b"\xda\0\x08\1\1\0\0\x3f\0" + bytes(coded_bytes),
        b"\xd0" + bytes(coded_bytes),
        b"\xd9",
    )
    return b"\xff\xd8" + b"".join(b"\xff" + segment for segment in segments)


def beyond_reach() -> bytes:
    """Return a JPEG whose DC is farther from the middle than libjpeg's tables reach."""
    stripes = np.tile(np.repeat(np.array([[[255] * 3, [0] * 3]], np.uint8), 8, 1), (24, 2, 1))
    data = _encoded(Image.fromarray(stripes), quality=100, subsampling=0)
    at = data.index(b"\xff\xdb\x00\x43\0") + 5
    return data[:at] + b"\5" + data[at + 1 :]


def _encoded(picture: Image.Image, **options: object) -> bytes:
    kept = io.BytesIO()
    picture.save(kept, "JPEG", **options)
    return kept.getvalue()


def separate(picture: Image.Image, *, halved: bool = True) -> bytes:
    """Return a baseline JPEG with a scan for each component, which Pillow does not write.

    Put together from three grey ones.

    Args:
        picture: of any size, in RGB.
        halved: colour at half the size in both directions.
    """
    width_px, height_px = picture.size
    planes = list(picture.convert("YCbCr").split())
    if halved:
        half = (-(-width_px // 2), -(-height_px // 2))
        planes[1:] = [plane.resize(half) for plane in planes[1:]]
    frame = b"\xff\xc0\0\x11\x08" + height_px.to_bytes(2, "big") + width_px.to_bytes(2, "big")
    frame += bytes([3, 1, 0x22 if halved else 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    parts = [b"\xff\xd8"]
    for number, plane in enumerate(planes, 1):
        grey = _encoded(plane, quality=80)
        for marker, begin, end in jpeg.segments(grey):
            if marker == _DQT and number == 1:
                parts += [grey[begin - 4 : end], frame]
            if marker == _DHT:
                parts.append(grey[begin - 4 : end])
        head = jpeg.read(grey)
        assert head is not None
        scan = grey[head.scan_at : -2]
        parts.append(scan[:5] + bytes([number]) + scan[6:])
    return b"".join([*parts, b"\xff\xd9"])


_DQT, _DHT = 0xDB, 0xC4


def fill(folder: Path, name: str = "jpegdc") -> None:
    """Write what a search begins with: the seeds of a target, and what was found before."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(_SEEDS[name]()):
        (folder / f"seed-{number:03}").write_bytes(data)
    kind = "jpeg*" if name in {"jpegdc", "cursors"} else f"{name}-*"
    for find in FINDS.glob(f"{kind}.bin"):
        shutil.copy(find, folder)


def chain_seeds() -> Iterator[bytes]:
    """Yield inputs of `chain_target.c`: all seeds with some head, and samples."""
    chance = random.Random(1)  # noqa: S311 - sizes, not secrets
    for number, data in enumerate(seeds()):
        yield bytes([1 + number % 2 * 2]) + chance.randbytes(CHAIN_HEAD_BYTES - 1) + data
    for number in range(20):
        yield bytes([number % 2 * 2]) + chance.randbytes(CHAIN_HEAD_BYTES - 1 + 300)


def vp8_seeds() -> Iterator[bytes]:
    """Yield inputs of `vp8_target.c`: first partitions of small sound pictures."""
    for number, (width_px, height_px) in enumerate(_SIZES_PX):
        noise = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
        picture = Image.fromarray(noise).resize((width_px, height_px))
        for method, quality in ((0, 20), (4, 75), (6, 100)):
            kept = io.BytesIO()
            picture.save(kept, "WEBP", method=method, quality=quality)
            coded = webp.first_picture(kept.getvalue())
            assert coded
            end = VP8_HEADER_BYTES + (int.from_bytes(coded.data[:3], "little") >> 5)
            yield bytes([width_px - 1, height_px - 1]) + coded.data[VP8_HEADER_BYTES:end]


def vp8l_seeds() -> Iterator[bytes]:
    """Yield inputs of `vp8l_target.c`: small sound pictures of all kinds that libwebp writes."""
    for number, (width_px, height_px) in enumerate(_SIZES_PX):
        noise = np.random.default_rng(number).integers(0, 256, (5, 5, 4), np.uint8)
        picture = Image.fromarray(noise).resize((width_px, height_px))
        few = picture.convert("RGB").quantize(12).convert("RGBA")
        for kind in (picture, picture.convert("RGB"), picture.convert("L"), few):
            for method, quality in ((0, 20), (4, 75), (6, 100)):
                kept = io.BytesIO()
                kind.save(kept, "WEBP", lossless=True, method=method, quality=quality)
                coded = webp.first_picture(kept.getvalue())
                codes = coded and coded.lossless
                assert codes
                yield bytes([width_px - 1, height_px - 1]) + codes.data


def boxed_seeds() -> Iterator[bytes]:
    """Yield inputs of `boxed_target.c`: rows and tiles of all kinds, and sound LZW."""
    chance = random.Random(2)  # noqa: S311 - sizes, not secrets
    rest = BOXED_HEAD_BYTES - 4
    for number in range(96):
        wide, high, bands = chance.randrange(64), chance.randrange(64), number // 3 % 4
        flags = [chance.randrange(256), chance.randrange(256), number // 12 % 8, 255]
        head = [number % 3, wide, high, bands, *flags, *chance.randbytes(3), 0]
        yield bytes(head) + chance.randbytes(chance.randrange(1, 400))
    for number in range(20):
        wide, high = chance.randrange(1, 64), chance.randrange(1, 64)
        # Few values, or all: strings of many lengths, and tables that fill up.
        samples = bytes(chance.choices(range(2 if number % 2 else 256), k=wide * high * 3))
        yield bytes([3, wide - 1, high - 1, 2, *bytes(rest)]) + bytes(
            imagecodecs.lzw_encode(samples)
        )


_SEEDS = {
    "jpegdc": seeds, "cursors": seeds, "chain": chain_seeds, "vp8": vp8_seeds,
    "vp8l": vp8l_seeds, "boxed": boxed_seeds,
}  # fmt: skip


# --- the long search ----------------------------------------------------------------------------


def main(count: int, seconds: int, seed: int, name: str = "jpegdc") -> int:
    """Try so many inputs, or for so long, whatever is first; 1 when something was found."""
    kept = KEPT / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        fill(Path(scratch) / "seeds", name)
        limits = [f"-seed={seed}", "-use_value_profile=1"]
        limits += [f"-runs={count}"] if count else []
        limits += [f"-max_total_time={seconds}"] if seconds else []
        target = build(Path(scratch), name=name)
        found = search(target, [kept, Path(scratch) / "seeds"], limits, KEPT)
    if found.findings:
        sys.stderr.write(f"{found.said[-4000:]}\nThe input is in {KEPT}.\n")
        sys.stdout.write(f"{found.findings[0]}\n")
        return 1
    sys.stdout.write(
        f"{found.inputs} inputs, {found.accepted} accepted and compared: "
        f"{found.apart} of {found.samples} samples apart, all within the bound\n"
    )
    return 0
