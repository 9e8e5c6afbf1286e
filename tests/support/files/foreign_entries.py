"""Entries as any reader sees them: Pillow and a chunk walker; and entries of other programs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from tests.support.files.pictures import encode
from tests.support.judges import desktops, png_walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOX_PX = dict(zip(desktops.FLAVORS, (128, 256, 512, 1024), strict=True))
#: The order of DESIGN 3.3; the last two only where they apply.
KEYS = (
    "Thumb::URI",
    "Thumb::MTime",
    "Thumb::Size",
    "Thumb::Mimetype",
    "Thumb::Image::Width",
    "Thumb::Image::Height",
    "Thumb::Document::Pages",
    "Thumb::Movie::Length",
    "Software",
    "X-Pregen::Frames",
    "X-Pregen::Revision",
    "X-Pregen::Fingerprint",
)


class Entry(NamedTuple):
    """One entry of a cache, read back."""

    path: Path
    data: bytes

    @property
    def image(self) -> Image.Image:
        """The picture, as Pillow decodes it."""
        picture = Image.open(io.BytesIO(self.data))
        picture.load()
        return picture

    def text(self, key: str) -> str:
        """Return the value of a `tEXt` chunk."""
        return png_walk.text_of(self.data, key)

    @property
    def original_size(self) -> tuple[int, int]:
        """Width and height of the original as the entry tells them."""
        return int(self.text("Thumb::Image::Width")), int(self.text("Thumb::Image::Height"))


def read(cache: Path, flavor: str, source: Path | bytes) -> Entry:
    """Read the entry of a source; FileNotFoundError when there is none."""
    path = desktops.entry_path(cache, flavor, desktops.glib_uri(source))
    return Entry(path, path.read_bytes())


def files(cache: Path) -> Iterator[Path]:
    """Yield every file of a cache, entries and fail records and whatever else is there."""
    return (path for path in (cache / "thumbnails").rglob("*") if not path.is_dir())


def leftovers(cache: Path) -> list[Path]:
    """Return what is in a cache's folders and is neither an entry nor a fail record."""
    return [
        path
        for path in files(cache)
        if path.parent != cache / "thumbnails"
        and not (path.suffix == ".png" and len(path.stem) == 32)
    ]


def identities(cache: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Return inode, mtime and bytes of every entry: equal means that none was written again."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in files(cache)
        if path.suffix == ".png"
    }


def foreign(
    cache: Path,
    flavor: str,
    source: Path,
    texts: list[tuple[str, str, str]],
    picture: Image.Image,
) -> Entry:
    """Put an entry of another program: these (kind, key, value) texts and this picture.

    In values, {uri}, {mtime}, {fraction} (six digits) and {size} stand for the source's facts.
    """
    facts = source.stat()
    seconds, nanoseconds = divmod(facts.st_mtime_ns, 10**9)
    uri = desktops.glib_uri(source)
    values = {"uri": uri, "mtime": seconds, "size": facts.st_size}
    fraction = f"{nanoseconds // 1000:06d}"
    wanted = [(kind, key, value.format(fraction=fraction, **values)) for kind, key, value in texts]
    path = desktops.entry_path(cache, flavor, uri)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(png_walk.with_texts(encode(picture, "PNG"), wanted))
    path.chmod(0o600)
    return Entry(path, path.read_bytes())
