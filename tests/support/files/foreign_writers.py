"""Files by programs and libraries that pregen does not read with; each takes a `Pair`."""

from __future__ import annotations

import io
import subprocess
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from tests.support.files import plain_writers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tests.support.files.pairs import Pair

    Writer = Callable[[Pair], bytes]

_TIME_S = 60


def deep_png(stored: Pair, **options: Any) -> bytes:
    """A PNG of 8 or 16 bits, whatever depth the samples have: what programs take."""
    if stored.most in {1, 3, 15, 255, 65535} and stored.samples.dtype.kind != "f":
        return plain_writers.png(stored, **options)
    samples = np.rint(stored.samples / stored.most * 65535).astype(np.uint16)
    return plain_writers.png(stored._replace(samples=samples, most=65535), **options)


def program(
    command: Sequence[str], extension: str, source: Writer = deep_png, before: str = "png"
) -> Writer:
    """Return a writer that is a program.

    Args:
        command: with IN and OUT where the files go; OUT: after a prefix such as `png24:OUT`.
        extension: of what is written.
        source: writes what the program reads.
        before: its extension.
    """

    def write(stored: Pair) -> bytes:
        with tempfile.TemporaryDirectory(prefix="judge-") as scratch:
            taken, made = Path(scratch, f"in.{before}"), Path(scratch, f"out.{extension}")
            taken.write_bytes(source(stored))
            icc = Path(scratch, "profile.icc")
            icc.write_bytes(stored.icc)
            words = [
                word.replace("IN", str(taken), 1) if word == "IN"
                else word.replace("OUT", str(made)) if word.endswith("OUT")
                else str(icc) if word == "ICC" else word
                for word in command
            ]  # fmt: skip
            done = subprocess.run(words, capture_output=True, timeout=_TIME_S, check=False)
            if done.returncode or not made.exists():
                raise RuntimeError(f"{words}: {done.stderr[-400:]!r}")
            return made.read_bytes()

    return write


def magick(
    extension: str, *arguments: str, source: Writer = deep_png, before: str = "png"
) -> Writer:
    """ImageMagick."""
    return program(["convert", "IN", *arguments, "OUT"], extension, source, before)


def cjxl(*arguments: str, source: Writer = deep_png, before: str = "png") -> Writer:
    """libjxl's encoder; `-d 0` is lossless."""
    command = ["cjxl", "IN", "OUT", "-e", "3", "--num_threads=0", "--quiet", *arguments]
    return program(command, "jxl", source, before)


def avifenc(*arguments: str, source: Writer = deep_png) -> Writer:
    """libavif's encoder, near lossless."""
    quality = ["--min", "0", "--max", "4", "--minalpha", "0", "--maxalpha", "0"]
    return program(
        ["avifenc", "-s", "9", "-j", "1", *quality, *arguments, "IN", "OUT"], "avif", source
    )


def heif_enc(*arguments: str) -> Writer:
    """libheif's encoder."""
    quality = ["-q", "95", "-p", "preset=ultrafast"]
    return program(["heif-enc", *quality, *arguments, "-o", "OUT", "IN"], "heic")


def ffmpeg(extension: str, *arguments: str) -> Writer:
    """FFmpeg, from two seconds of the picture."""
    still = ["-v", "error", "-loop", "1", "-framerate", "10", "-i", "IN", "-t", "1"]
    return program(["ffmpeg", *still, *arguments, "OUT"], extension)


def pillow(file_format: str, *, exif: bool = False, **options: Any) -> Writer:
    """Pillow, from 8 bits."""

    def write(stored: Pair) -> bytes:
        samples = stored.as_bytes
        count = samples.shape[2]
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[count]
        if options.get("_mode"):
            mode = options["_mode"]
        if len(stored.palette):
            image = Image.fromarray(samples[..., 0]).convert("P")
            image = Image.frombytes("P", image.size, samples.tobytes())
            image.putpalette(stored.palette[:, :3].tobytes())
        elif stored.most == 1:
            image = Image.fromarray(samples[..., 0] * np.uint8(255)).convert(
                "1", dither=Image.Dither.NONE
            )
        else:
            image = Image.frombytes(mode, samples.shape[1::-1], samples.tobytes())
        chosen = {name: value for name, value in options.items() if not name.startswith("_")}
        if stored.icc:
            chosen["icc_profile"] = stored.icc
        if exif:
            chosen["exif"] = b"Exif\0\0" + plain_writers.exif(stored.orientation)
        out = io.BytesIO()
        image.save(out, file_format, **chosen)
        return out.getvalue()

    return write


#: Channels that are colours, by tifffile's names for photometric interpretations.
_COLOURS = {"rgb": 3, "separated": 4, "cielab": 3, "ycbcr": 3}


def tiff(
    photometric: str = "",
    *,
    as_dtype: str = "",
    extra: str = "unassalpha",
    planar: bool = False,
    byteorder: Literal["<", ">"] = "<",
    bigtiff: bool = False,
    **options: Any,
) -> Writer:
    """tifffile; samples that are no whole bytes are packed here.

    Args:
        photometric: as tifffile names it; by the number of channels, if empty.
        as_dtype: samples are stored as these.
        extra: what a further channel is; "assocalpha" is multiplied into the colours.
        planar: a plane for each channel.
        byteorder: of the file.
        bigtiff: with offsets of 64 bits.
        options: `tifffile.TiffWriter.write`'s.
    """

    def write(stored: Pair) -> bytes:
        samples, bits = stored.samples, stored.most.bit_length()
        count = samples.shape[2]
        kind = photometric or ("rgb" if count > 2 else "minisblack")
        chosen: dict[str, Any] = {"photometric": kind, "metadata": None, "software": False}
        # tifffile changes what it is given.
        chosen |= {"iccprofile": stored.icc or None} | deepcopy(options)
        if kind == "miniswhite":
            samples = stored.most - samples
        samples = samples.astype(as_dtype) if as_dtype else samples
        beyond = count - _COLOURS.get(kind, 1)
        if beyond:
            chosen["extrasamples"] = [extra] * beyond
            samples = _mixed(samples, stored.most) if extra == "assocalpha" else samples
        if stored.orientation != 1:
            chosen["extratags"] = [(274, 3, 1, stored.orientation, True)]
        if planar:
            samples = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
            chosen["planarconfig"] = "separate"
        elif count > 1:
            chosen["planarconfig"] = "contig"
        else:
            samples = samples[..., 0]
        data: Any = samples
        if samples.dtype.kind == "u" and bits not in {8, 16, 32}:
            data = iter([plain_writers.packed(samples, bits)])
            chosen |= {"shape": samples.shape, "dtype": samples.dtype, "bitspersample": bits}
            chosen["rowsperstrip"] = len(stored.samples)
        out = io.BytesIO()
        with tifffile.TiffWriter(out, bigtiff=bigtiff, byteorder=byteorder) as file:
            file.write(data, **chosen)
        return out.getvalue()

    return write


def _mixed(samples: NDArray[Any], most: int) -> NDArray[Any]:
    """Multiply the alpha, which is last, into the colours."""
    over = samples[..., :-1] * (samples[..., -1:] / most)
    over = over if samples.dtype.kind == "f" else np.rint(over)
    return np.concatenate([over, samples[..., -1:]], -1).astype(samples.dtype)


def jpeg8(*, exif: bool = False, **options: Any) -> Writer:
    """libjpeg-turbo 3 by imagecodecs: 12 bits, lossless, YCCK; EXIF and profile put in here."""

    def write(stored: Pair) -> bytes:
        samples = np.ascontiguousarray(stored.samples)
        if samples.shape[2] == 1:
            samples = samples[..., 0]
        if options.get("inverted"):  # as Photoshop stores inks, with Adobe's marker
            samples = 255 - samples
        chosen = {name: value for name, value in options.items() if name != "inverted"}
        told = {"level": 97, "bitspersample": stored.most.bit_length()}
        data = bytes(imagecodecs.jpeg8_encode(samples, **(told | chosen)))
        parts = b""
        if exif:
            body = b"Exif\0\0" + plain_writers.exif(stored.orientation)
            parts += b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
        if stored.icc:
            # A segment holds 64 kB; a press' profile is larger (ICC.1, B.4).
            step = 65000
            pieces = [stored.icc[at : at + step] for at in range(0, len(stored.icc), step)]
            for number, piece in enumerate(pieces, 1):
                body = b"ICC_PROFILE\0" + bytes([number, len(pieces)]) + piece
                parts += b"\xff\xe2" + (len(body) + 2).to_bytes(2, "big") + body
        return data[:2] + parts + data[2:]

    return write


def qoi(stored: Pair) -> bytes:
    """QOI by imagecodecs."""
    return bytes(imagecodecs.qoi_encode(np.ascontiguousarray(stored.as_bytes)))


def jxl(stored: Pair) -> bytes:
    """JPEG XL of 10 or 12 bits by imagecodecs; cjxl 0.7 makes 16 dark ones of them."""
    samples = np.ascontiguousarray(stored.samples.squeeze())
    bits = stored.most.bit_length()
    return bytes(imagecodecs.jpegxl_encode(samples, lossless=True, effort=2, bitspersample=bits))


def radiance(stored: Pair) -> bytes:
    """Radiance's RGBE by imagecodecs, from linear light."""
    return bytes(imagecodecs.rgbe_encode(np.ascontiguousarray(stored.samples), header=True))


def heif(stored: Pair) -> bytes:
    """HEIC that is turned by irot and imir. No other program at hand writes them; libheif does."""
    import pillow_heif  # noqa: PLC0415 - for one kind

    out = io.BytesIO()
    picture = pillow_heif.from_pillow(Image.fromarray(stored.as_bytes))
    # pillow-heif makes properties of the orientation, and sets it to 1 in the EXIF block.
    picture.save(out, quality=97, exif=b"Exif\0\0" + plain_writers.exif(stored.orientation))
    return out.getvalue()
