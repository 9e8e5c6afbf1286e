"""Other people's decoders: what a file looks like to them, whole, upright, in sRGB by littleCMS.

Programs run as processes, with limits on time and memory. Libraries run here; `safely` runs
them in a process of their own, for files that nobody knows.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from tests.support.files import colour_spaces, painting
from tests.support.judges import png_walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.support.files.colour_spaces import Floats

_TIME_S = 30
_MEMORY_BYTES = 4 << 30
_ROOT = Path(__file__).resolve().parents[3]
Image.MAX_IMAGE_PIXELS = None


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """The decoder shows nothing; says why."""


class Decoded(NamedTuple):
    """A picture as a decoder gave it."""

    samples: NDArray[Any]
    """Rows x columns x channels of 0 to 1; colours first, then alpha."""
    space: str
    """gray, rgb, cmyk (1 is full ink)."""
    icc: bytes = b""
    orientation: int = 1
    """By which it is still to be turned."""


#: A quarter of these pixels is enough to judge an entry by; colours of more take long.
_PLENTY_PX = 2048


def shown(name: str, path: Path) -> Floats:
    """Decode a file by the decoder of this name, and bring it to sRGB and upright.

    Very large pictures without transparency are halved as often as their edges stay four times an
    entry's.

    Raises:
        Refused: it shows nothing.
    """
    try:
        return to_srgb(_halved(DECODERS[name](path)))
    except Refused:
        raise
    except Exception as error:  # the libraries raise whatever their parsing runs into
        raise Refused(f"{type(error).__name__}: {error}"[:200]) from error


def _halved(decoded: Decoded) -> Decoded:
    samples = decoded.samples
    count = {"gray": 1, "rgb": 3, "cmyk": 4}[decoded.space]
    if (samples[..., count:] < 1).any():
        return decoded
    while max(samples.shape[:2]) >= _PLENTY_PX:
        rows, columns = (edge // 2 * 2 for edge in samples.shape[:2])
        even = samples[:rows, :columns].astype(np.float32)
        samples = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
    return decoded._replace(samples=samples)


def to_srgb(decoded: Decoded) -> Floats:
    """Return rows x columns x 4 of sRGB's code values and alpha."""
    count = {"gray": 1, "rgb": 3, "cmyk": 4}[decoded.space]
    colours = np.asarray(decoded.samples[..., :count])
    alpha = decoded.samples[..., count : count + 1].astype(np.float64)
    icc = decoded.icc if colour_spaces.is_icc(decoded.icc) else b""
    if icc and colour_spaces.icc_space(icc) == "rgb" and decoded.space == "gray":
        colours = np.concatenate([colours] * 3, axis=-1)
        rgb = colour_spaces.littlecms(colours, icc, colour_spaces.srgb_icc(), "rgb", "rgb")
    elif icc and colour_spaces.icc_space(icc) == "gray" and decoded.space == "rgb":
        rgb = colour_spaces.littlecms(
            colours[..., 1:2], icc, colour_spaces.srgb_icc(), "gray", "rgb"
        )
    elif icc and colour_spaces.icc_space(icc) == decoded.space:
        rgb = colour_spaces.littlecms(colours, icc, colour_spaces.srgb_icc(), decoded.space, "rgb")
    elif decoded.space == "cmyk":
        rgb = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    else:
        rgb = np.broadcast_to(colours, (*colours.shape[:2], 3)) if count == 1 else colours
    if not alpha.shape[-1]:
        alpha = np.ones((*rgb.shape[:2], 1))
    whole = np.concatenate([np.clip(rgb, 0, 1), np.clip(alpha, 0, 1)], axis=-1)
    return painting.turned(whole.astype(np.float64), decoded.orientation)


def _run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> bytes:
    """Run a program within its limits and return what it printed."""

    # A program sets the limits: a function to run in the child would need a copy of this process.
    limits = ["prlimit", f"--as={_MEMORY_BYTES}", f"--cpu={_TIME_S}", "--core=0", "--"]
    try:
        done = subprocess.run(
            [*limits, *(str(part) for part in command)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIME_S, check=False,
            cwd=cwd, env=env,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Refused(f"no end after {_TIME_S} s") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused((words[-1] if words else f"exit {done.returncode}")[:200])
    return done.stdout


# --- Programs


def imagemagick(path: Path) -> Decoded:
    """ImageMagick, by its own format MIFF, which keeps samples of 16 bits and the profile."""
    found = _miff(
        _run("convert", f"{path}[0]", "-auto-orient", "-alpha", "on", "-depth", "16", "MIFF:-")
    )
    if found is None:
        command = ("convert", f"{path}[0]", "-auto-orient", "-colorspace", "sRGB", "-alpha", "on")
        found = _miff(_run(*command, "-depth", "16", "MIFF:-"))
    if found is None:
        raise Refused("colours that ImageMagick cannot bring to sRGB")
    return found


def _miff(data: bytes) -> Decoded | None:
    """Read MIFF (imagemagick.org/script/miff.php); None for colours it should convert itself."""
    head, mark, rest = data.partition(b":\x1a")
    if not mark:
        raise Refused("no picture")
    told = dict(
        word.split("=", 1) for word in head.decode("latin-1").split() if word.count("=") >= 1
    )
    icc = b""
    for word in head.decode("latin-1").split():
        if word.startswith("profile="):
            length = int.from_bytes(rest[:4], "big")
            icc = rest[4 : 4 + length] if word in {"profile=icc", "profile=icm"} else icc
            rest = rest[4 + length :]
    space = {"sRGB": "rgb", "Gray": "gray", "CMYK": "cmyk"}.get(told["colorspace"], "")
    if not space:
        return None
    width_px, height_px = int(told["columns"]), int(told["rows"])
    alpha = int(told.get("matte") == "True")
    if told.get("class") == "PseudoClass":
        colours = np.frombuffer(rest, ">u2", 3 * int(told["colors"])).reshape(-1, 3)
        pixels = np.frombuffer(rest, ">u2", width_px * height_px * (1 + alpha), colours.nbytes)
        pixels = pixels.reshape(height_px, width_px, -1)
        values = np.concatenate([colours[pixels[..., 0]], pixels[..., 1:]], axis=-1)
        return Decoded(values / 65535, "rgb", icc)
    count = {"gray": 1, "rgb": 3, "cmyk": 4}[space] + alpha
    values = np.frombuffer(rest, ">u2", width_px * height_px * count)
    return Decoded(values.reshape(height_px, width_px, count) / 65535, space, icc)


def _by_png(*command: str | Path, name: str = "out.png") -> Decoded:
    """Run a program that writes a PNG where `OUT` stands."""
    with tempfile.TemporaryDirectory(prefix="judge-") as scratch:
        out = Path(scratch) / name
        _run(*(out if part == "OUT" else part for part in command))
        made = sorted(Path(scratch).iterdir())
        if not made:
            raise Refused("it wrote nothing")
        return png_file(made[0].read_bytes())


def png_file(data: bytes) -> Decoded:
    """A PNG of 8 or 16 bits as a program writes it, whole."""
    chunks = dict(png_walk.chunks(data))
    bits, kind = chunks[b"IHDR"][8], chunks[b"IHDR"][9]
    samples = imagecodecs.png_decode(data)
    samples = samples.reshape(*samples.shape[:2], -1)
    icc = b""
    if b"iCCP" in chunks:
        icc = zlib.decompress(chunks[b"iCCP"].partition(b"\0")[2][1:])
    space = "gray" if samples.shape[2] < 3 and kind != 3 else "rgb"
    most = 65535 if bits == 16 else 255
    return Decoded(samples / most, space, bytes(icc))


def djxl(path: Path) -> Decoded:
    """The reference decoder of JPEG XL, which turns pictures itself; by numpy's format."""
    with tempfile.TemporaryDirectory(prefix="judge-") as scratch:
        out, icc = Path(scratch, "out.npy"), Path(scratch, "out.icc")
        _run("djxl", path, out, f"--icc_out={icc}", "--num_threads=0")
        samples = np.load(out)[0]
        space = "gray" if samples.shape[2] < 3 else "rgb"
        return Decoded(np.clip(samples, 0, 1), space, icc.read_bytes() if icc.exists() else b"")


def avifdec(path: Path) -> Decoded:
    """The decoder of libavif, which leaves turning (irot, imir) to others."""
    data = path.read_bytes()
    try:
        found = _by_png("avifdec", "--depth", "16", path, "OUT")
    except Refused:
        # It makes RGB of grey, and libpng then takes no profile of grey.
        icc = _boxed_icc(data)
        found = _by_png("avifdec", "--ignore-icc", "--depth", "16", path, "OUT")._replace(icc=icc)
    return found._replace(orientation=_heif_turn(data))


def _boxed_icc(data: bytes) -> bytes:
    """The profile of a file with one picture (ISO 14496-12, 12.1.5)."""
    at = data.find(b"colrprof")
    return data[at + 8 : at - 4 + int.from_bytes(data[at - 4 : at], "big")] if at >= 0 else b""


def _heif_turn(data: bytes) -> int:
    """EXIF's orientation for the irot and imir of a file with one picture (ISO 23008-12, 6.5)."""
    at = data.find(b"irot")
    quarter = data[at + 4] & 3 if at >= 0 else 0
    orientation = (1, 8, 3, 6)[quarter]
    at = data.find(b"imir")
    if at < 0:
        return orientation
    # Mirrored after it was turned: left to right (1 in libavif 0.11) or top to bottom.
    turns = {1: 2, 8: 7, 3: 4, 6: 5} if data[at + 4] & 1 else {1: 4, 8: 5, 3: 2, 6: 7}
    return turns[orientation]


def heif_convert(path: Path) -> Decoded:
    """libheif as the system has it; turns pictures itself."""
    try:
        found = _by_png("heif-convert", path, "OUT")
        # Of a picture in tiles it tells no profile; phones write these.
        return found._replace(icc=found.icc or _boxed_icc(path.read_bytes()))
    except (Refused, ValueError):
        # It makes RGB of grey, and libpng then takes no profile of grey. ImageMagick hands over
        # what libheif decoded, without the profile.
        return imagemagick(path)._replace(icc=_boxed_icc(path.read_bytes()))


def opj_decompress(path: Path) -> Decoded:
    """The reference decoder of JPEG 2000, by its program."""
    return _by_png("opj_decompress", "-quiet", "-i", path, "-o", "OUT")


def ffmpeg(path: Path) -> Decoded:
    """FFmpeg's first picture, pixels made square."""
    out = _run(
        "ffmpeg", "-v", "error", "-i", path, "-frames:v", "1",
        "-vf", "scale=iw*sar:ih,setsar=1", "-sws_flags", "accurate_rnd+full_chroma_int",
        "-f", "image2pipe", "-c:v", "png", "-pix_fmt", "rgba64be", "-",
    )  # fmt: skip
    return png_file(out)


_GDK = """
import sys, gi
gi.require_version("GdkPixbuf", "2.0")
from gi.repository import GdkPixbuf, GLib
try:
    pixbuf = GdkPixbuf.Pixbuf.new_from_file(sys.argv[1])
except GLib.Error as error:
    sys.exit(error.message)
icc = pixbuf.get_option("icc-profile") or ""
pixbuf = pixbuf.apply_embedded_orientation()
channels, rows, stride = pixbuf.get_n_channels(), pixbuf.get_height(), pixbuf.get_rowstride()
width = pixbuf.get_width()
print(width, rows, channels, icc)
sys.stdout.flush()
data = pixbuf.get_pixels()
for row in range(rows):
    sys.stdout.buffer.write(data[row * stride : row * stride + width * channels])
"""


def gdk_pixbuf(path: Path) -> Decoded:
    """What GNOME, MATE and Xfce read pictures with."""
    head, _, pixels = _run("/usr/bin/python3", "-I", "-c", _GDK, path).partition(b"\n")
    width_px, height_px, channels, *profile = head.decode().split()
    import base64  # noqa: PLC0415 - for one decoder

    shape = (int(height_px), int(width_px), int(channels))
    samples = np.frombuffer(pixels, np.uint8).reshape(shape) / 255
    return Decoded(samples, "rgb", base64.b64decode(profile[0]) if profile else b"")


# --- Libraries


def pillow(path: Path) -> Decoded:
    """Pillow; 16 bits a sample become 8 where it has no mode for them."""
    with Image.open(path) as image:
        image.load()
        icc = image.info.get("icc_profile") or b""
        try:
            orientation = image.getexif().get(274, 1)
        except Exception:  # noqa: BLE001 - broken metadata must not cost the picture
            orientation = 1
        if not isinstance(orientation, int) or not 1 <= orientation <= 8:
            orientation = 1
        if image.mode == "CMYK":
            return Decoded(np.asarray(image) / 255, "cmyk", icc, orientation)
        if image.mode.startswith("I;16") or image.mode == "I":
            values = np.asarray(image).astype(np.float64)[..., None] / 65535
            return Decoded(values, "gray", icc, orientation)
        if image.mode == "F":
            return Decoded(np.asarray(image)[..., None], "gray", icc, orientation)
        if image.mode == "LAB":
            lab = np.asarray(image)
            signed = lab[..., 1:].astype(np.uint8).view(np.int8).astype(np.float64)
            lab = np.concatenate([lab[..., :1] / 2.55, signed], -1)
            return Decoded(colour_spaces.lab_to_srgb(lab), "rgb", b"", orientation)
        grey = image.mode in {"L", "LA", "1"} and "transparency" not in image.info
        mode = ("LA" if "A" in image.mode else "L") if grey else "RGBA"
        samples = np.asarray(image.convert(mode)) / 255
        if grey and samples.ndim == 2:
            samples = samples[..., None]
        return Decoded(samples, "gray" if grey else "rgb", icc, orientation)


def tifffile_samples(path: Path) -> Decoded:
    """tifffile, with the codecs of imagecodecs."""
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        samples = page.asarray()
        if page.planarconfig == 2 and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, -1)
        samples = samples.reshape(*samples.shape[:2], -1)
        icc = page.tags[34675].value if 34675 in page.tags else b""
        orientation = page.tags[274].value if 274 in page.tags else 1
        return _tiff_colours(page, samples)._replace(icc=icc, orientation=int(orientation))


def _tiff_colours(page: Any, samples: NDArray[Any]) -> Decoded:
    """Make 0 to 1 of a page's samples, straight alpha, and RGB of what is neither grey nor inks."""
    kind = page.photometric.name
    most = (1 << page.bitspersample) - 1 if samples.dtype.kind in "ub" else 1
    if kind == "PALETTE":
        return Decoded(
            np.moveaxis(np.asarray(page.colormap), 0, -1)[samples[..., 0]] / 65535, "rgb"
        )
    values = samples / most
    if kind == "MINISWHITE":
        values = 1 - values
    space = {"SEPARATED": "cmyk", "MINISBLACK": "gray", "MINISWHITE": "gray"}.get(kind, "rgb")
    count = {"gray": 1, "cmyk": 4, "rgb": 3}[space]
    colours, alpha = values[..., :count], values[..., count : count + 1]
    if kind == "CIELAB":
        # a and b are signed, of 16 bits 256 to a unit.
        signed = samples[..., 1:3].astype(np.int8 if most == 255 else np.int16)
        scale = 1.0 if most == 255 else 256.0
        lab = [colours[..., :1] * 100, signed.astype(np.float64) / scale]
        colours = colour_spaces.lab_to_srgb(np.concatenate(lab, -1))
    elif kind == "YCBCR" and page.compression != 7:
        colours = colour_spaces.ycbcr_to_rgb(colours)
    if not page.extrasamples or not int(page.extrasamples[0]):
        return Decoded(colours, space)
    if int(page.extrasamples[0]) == 1:
        colours = np.clip(colours / np.maximum(alpha, 1e-6), 0, 1)
    return Decoded(np.concatenate([colours, alpha], -1), space)


def psd_tools(path: Path) -> Decoded:
    """psd-tools' merged picture."""
    from psd_tools import PSDImage  # noqa: PLC0415 - slow to import, and for one format
    from psd_tools.constants import Resource  # noqa: PLC0415 - likewise

    file = PSDImage.open(path)
    image = file.topil(apply_icc=False)
    if image is None:
        raise Refused("no merged picture")
    icc: Any = file.image_resources.get_data(Resource.ICC_PROFILE) or b""
    if image.mode == "CMYK":
        return Decoded(np.asarray(image) / 255, "cmyk", icc)
    if image.mode == "LAB":
        raise Refused("psd-tools gives Lab in no order that is documented")
    grey = image.mode in {"L", "LA", "1"}
    samples = np.asarray(image.convert("LA" if grey else "RGBA")) / 255
    return Decoded(samples, "gray" if grey else "rgb", icc)


def _codec(decode: Callable[[bytes], Any]) -> Callable[[Path], Decoded]:
    """A codec of imagecodecs, which knows samples and nothing else."""

    def read(path: Path) -> Decoded:
        data = path.read_bytes()
        samples = np.asarray(decode(data))
        samples = samples.reshape(*samples.shape[:2], -1)
        most, icc = 255, b""
        if data.startswith(b"\xff\xd8"):
            most, icc = _jpeg_facts(data)
        return Decoded(samples / most, "gray" if samples.shape[2] < 3 else "rgb", icc)

    return read


def _jpeg_facts(data: bytes) -> tuple[int, bytes]:
    """The largest sample and the profile of a JPEG whose profile fits in one segment."""
    at, most, icc = 2, 255, b""
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if body.startswith(b"ICC_PROFILE\0"):
            icc = body[14:]
        if 0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in {0xC4, 0xC8, 0xCC}:
            most = (1 << body[0]) - 1
        at += 2 + length
    return most, icc


#: By name. An order in a list of them is an order of trust.
DECODERS: dict[str, Callable[[Path], Decoded]] = {
    "imagemagick": imagemagick,
    "pillow": pillow,
    "gdk-pixbuf": gdk_pixbuf,
    "djxl": djxl,
    "avifdec": avifdec,
    "heif-convert": heif_convert,
    "opj_decompress": opj_decompress,
    "ffmpeg": ffmpeg,
    "tifffile": tifffile_samples,
    "psd-tools": psd_tools,
    "ljpeg": _codec(imagecodecs.jpegsof3_decode),
    "jpeg12": _codec(imagecodecs.jpeg8_decode),
    "qoi": _codec(imagecodecs.qoi_decode),
}


def safely(name: str, path: Path) -> Floats:
    """As `shown`, in a process of its own, with limits: for files that nobody knows."""
    with tempfile.TemporaryDirectory(prefix="judge-") as scratch:
        out = Path(scratch) / "out.npy"
        env = {**os.environ, "PYTHONPATH": str(_ROOT)}
        module = "tests.support.judges.foreign_decoders"
        _run(sys.executable, "-m", module, name, path.resolve(), out, cwd=_ROOT, env=env)
        return np.asarray(np.load(out), np.float64)


def main() -> int:
    """Decode one file by one decoder into a file of numpy's."""
    name, path, out = sys.argv[1:]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            picture = shown(name, Path(path))
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    np.save(out, picture.astype(np.float32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
