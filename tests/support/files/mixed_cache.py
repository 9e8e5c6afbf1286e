"""A cache with an entry of every kind that cleaning may meet, and what each kind is."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from typing import TYPE_CHECKING

from tests.support.files.pictures import put
from tests.support.files.source_trees import MTIME_NS
from tests.support.judges import desktops, png_walk

if TYPE_CHECKING:
    from pathlib import Path

#: By whom entries are made.
PREGEN, GNOME, KDE, GTHUMB = "pregen 0.1.0", "GNOME::ThumbnailFactory", "KDE Thumbnail", "gThumb"
_DAY_S = 86400


def png(*texts: tuple[str, str], edge_px: int = 1) -> bytes:
    """Return a grey square with `tEXt` chunks."""
    header = struct.pack(">IIBBBBB", edge_px, edge_px, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(edge_px * (edge_px + 1)))
    plain = png_walk.build([(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")])
    return png_walk.with_texts(plain, [("tEXt", key, value) for key, value in texts])


class Zoo:
    """A cache (`$XDG_CACHE_HOME`) and originals below a folder. Kinds are labels of tests."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.photos = folder / "photos"
        self.nas = folder / "nas"
        """A mount point of `fstab`; nothing is mounted there."""
        self.closed = folder / "closed"
        self.fstab = folder / "fstab"
        self.labels: dict[Path, str] = {}
        """What each entry is."""
        self.others: set[Path] = set()
        """What is no entry."""

    @property
    def thumbnails(self) -> Path:
        """The thumbnails directory."""
        return self.cache / "thumbnails"

    def entry(
        self,
        label: str,
        original: Path | str,
        *,
        folder: str = "large",
        software: str = PREGEN,
        edge_px: int = 1,
        unused_days: float = 0,
    ) -> Path:
        """Put an entry that is right for its original as it is now."""
        uri = original if isinstance(original, str) else desktops.glib_uri(original)
        mtime_ns = MTIME_NS if isinstance(original, str) else original.stat().st_mtime_ns
        texts = [("Thumb::URI", uri), ("Thumb::MTime", str(mtime_ns // 10**9))]
        data = png(*texts, ("Software", software), edge_px=edge_px)
        return self.file(label, uri, data, folder=folder, unused_days=unused_days)

    def file(
        self, label: str, uri: str, data: bytes, *, folder: str = "large", unused_days: float = 0
    ) -> Path:
        """Put any bytes where the entry of a URI belongs."""
        name = hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()
        path = put(self.thumbnails / folder / f"{name}.png", data)
        path.chmod(0o600)
        if unused_days:
            used_s = path.stat().st_mtime - unused_days * _DAY_S
            os.utime(path, (used_s, used_s))
        assert path not in self.labels
        self.labels[path] = label
        return path

    def photo(self, name: str) -> Path:
        """Put an original."""
        return put(self.photos / name, name.encode(), MTIME_NS)

    def left(self) -> dict[str, int]:
        """Return how many entries of each kind are there now; those with none are left out."""
        counts: dict[str, int] = {}
        for path, label in self.labels.items():
            if os.path.lexists(path):
                counts[label] = counts.get(label, 0) + 1
        return counts

    def gone(self) -> set[str]:
        """Return the kinds of which an entry is gone; all entries of a kind must share a fate."""
        left = self.left()
        for label, number in left.items():
            assert number == sum(each == label for each in self.labels.values()), label
        return set(self.labels.values()) - set(left)

    def fill(self) -> Zoo:
        """Put everything."""
        gnome_fail, pregen_fail = "fail/gnome-thumbnail-factory", "fail/pregen-0.1"
        for label, software, folder in (
            ("live", PREGEN, "normal"),
            ("live kde", KDE, "large"),
            ("live gnome", GNOME, "x-large"),
            ("live failed", GNOME, gnome_fail),
        ):
            self.entry(label, self.photo(f"{label}.jpg"), folder=folder, software=software)
        big = self.photo("gthumb.jpg")
        self.entry("live gthumb", big, folder="x-large", software=GTHUMB, edge_px=384)

        changed = self.photo("changed.jpg")
        self.entry("changed", changed)
        put(changed, b"of another day", MTIME_NS + 10**10)

        for label, software, folder in (
            ("deleted", PREGEN, "normal"),
            ("deleted kde", KDE, "large"),
            ("deleted gnome", GNOME, "xx-large"),
            ("deleted failed", PREGEN, pregen_fail),
        ):
            original = self.photo(f"{label}.jpg")
            self.entry(label, original, folder=folder, software=software)
            original.unlink()
        tree = self.photo("tree/a/b.jpg")
        self.entry("moved", tree)
        (self.photos / "tree").rename(self.photos / "new tree")
        file = self.photo("file/a.jpg")
        self.entry("moved", file, folder="normal")
        file.unlink()
        file.parent.rmdir()
        put(file.parent, b"a file in the place of the folder")

        put(self.closed / "a.jpg", b"", MTIME_NS)
        self.entry("unreadable", self.closed / "a.jpg")
        self.nas.mkdir()
        self.fstab.write_text(f"# disks\nnas:/photos {self.nas} nfs noauto 0 0\nx none swap\n")
        self.entry("unmounted", f"{desktops.glib_uri(self.nas)}/2019/a.jpg")
        (self.photos / "link").symlink_to(self.nas)
        self.entry("unmounted", f"{desktops.glib_uri(self.photos)}/link/2019/b.jpg")
        (self.photos / "by hand").mkdir()
        self.entry("unmounted by hand", f"{desktops.glib_uri(self.photos)}/by%20hand/2019/b.jpg")
        for label, days in (("", 0), (" old", 60)):
            name = f"a{days}.jpg"
            self.entry(f"http{label}", f"http://example.org/{name}", unused_days=days)
            self.entry(f"smb{label}", f"smb://nas/photos/{name}", unused_days=days)
            self.entry(f"removable{label}", f"file:///media/me/STICK/{name}", unused_days=days)
            self.entry(f"bin{label}", f"trash:///{name}", unused_days=days)
        gvfs = "file:///run/user/4294967/gvfs/smb-share:server=nas,share=photos/a.jpg"
        self.entry("gvfs", gvfs)

        whole = png(("Thumb::URI", "file:///a"), ("Thumb::MTime", "1"))
        for number, data in enumerate((b"", b"GIF89a", whole[:50], whole[:-12], png())):
            self.file("corrupt", f"file:///corrupt/{number}", data)
        self._fill_others(whole)
        return self

    def _fill_others(self, whole: bytes) -> None:
        large, outside = self.thumbnails / "large", self.cache.parent / "outside"
        name = "0123456789abcdef0123456789abcdef"
        put(outside / f"{name}.png", whole[:50])
        (large / f"{name}.png").symlink_to(outside / f"{name}.png")
        (self.thumbnails / "fail" / "linked").symlink_to(outside)
        (large / f"{name[::-1]}.png").mkdir()
        self.others = {
            outside / f"{name}.png",
            large / f"{name}.png",
            self.thumbnails / "fail" / "linked",
            large / f"{name[::-1]}.png",
            put(large / f"{name.upper()}.png", whole[:50]),
            put(large / f"{name}.png.tmp", whole[:50]),
            put(large / "notes.txt", b"mine"),
            put(self.thumbnails / f"{name}.png", whole[:50]),
            put(self.thumbnails / "384" / f"{name}.png", whole[:50]),
            put(self.thumbnails / "fail" / f"{name}.png", whole[:50]),
        }

    def untouched(self) -> bool:
        """Tell whether everything that is no entry is still there."""
        return all(os.path.lexists(path) for path in self.others)
