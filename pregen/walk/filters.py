"""What the walk leaves out: by the user's patterns, by name, and the thumbnail caches.

`--include` and `--exclude` are patterns over the bytes of names and paths. One without `/` is
matched against the name alone, at any depth; one with `/` against the path below its root; one
that begins with `/` against that as well, or against the whole path. One that ends in `/` is for
folders only. `*`, `?` and `[...]` never match a `/`; `**` as a whole segment stands for any number
of folders. Latin letters match in either case, as in file managers, and a leading dot needs no
special care. A folder that is excluded is not entered; `include` is for files only; `exclude` wins.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.errors import UsageError
from pregen.thumbspec.naming import clean_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.config import Only
    from pregen.filesystems.bounded import BoundedFiles
    from pregen.filesystems.share_client import ShareEntry

    Match = re.Pattern[bytes]


class _Patterns(NamedTuple):
    """Patterns of one kind in one expression each; None where there are none."""

    name: Match | None
    below: Match | None
    """For the path below the root, which has no leading `/`."""
    whole: Match | None

    def hit(self, path: bytes, below: int, name: bytes) -> bool:
        """Tell whether any of them matches."""
        return bool(
            (self.name and self.name.fullmatch(name))
            or (self.below and self.below.fullmatch(path, below))
            or (self.whole and self.whole.fullmatch(path))
        )


class Globs:
    """The user's patterns, ready for use. Raises UsageError for one that makes no sense."""

    def __init__(self, include: Iterable[bytes] = (), exclude: Iterable[bytes] = ()) -> None:
        include, exclude = list(include), list(exclude)
        self._include = _compile(include)
        self._exclude_file = _compile(p for p in exclude if not p.endswith(b"/"))
        self._exclude_folder = _compile(exclude)
        self.any_for_files = bool(include or exclude)
        self.any_for_folders = bool(exclude)
        useless = [p for p in include if p.endswith(b"/")]
        if useless:
            shown = useless[0].decode("utf-8", "backslashreplace")
            raise UsageError(
                f"--include {shown}: this matches folders, but --include selects files. Use "
                f"{shown}** instead."
            )

    def takes(self, path: bytes, below: int, name: bytes) -> bool:
        """Tell whether the file at `path` is wanted; its path below the root starts at `below`."""
        if self._exclude_file.hit(path, below, name):
            return False
        return self._include == _NONE or self._include.hit(path, below, name)

    def enters(self, path: bytes, below: int, name: bytes) -> bool:
        """Tell whether the folder at `path` is to be walked."""
        return not self._exclude_folder.hit(path, below, name)


_NONE = _Patterns(None, None, None)


def _compile(globs: Iterable[bytes]) -> _Patterns:
    names: list[bytes] = []
    below: list[bytes] = []
    whole: list[bytes] = []
    for glob in globs:
        pattern = glob.rstrip(b"/")
        if not pattern:
            raise UsageError("A pattern of --include or --exclude is empty; omit it.")
        try:
            regex = translate(pattern.lstrip(b"/"))
            re.compile(regex)
        except re.error as error:
            shown = glob.decode("utf-8", "backslashreplace")
            raise UsageError(f"The pattern {shown} is not valid: {error}.") from error
        if b"/" not in pattern:
            names.append(regex)
            continue
        below.append(regex)
        if pattern.startswith(b"/"):
            whole.append(b"/" + regex)
    return _Patterns(_union(names), _union(below), _union(whole))


def _union(regexes: list[bytes]) -> Match | None:
    return re.compile(b"|".join(regexes), re.IGNORECASE) if regexes else None


def translate(glob: bytes) -> bytes:
    """Return the regular expression for a glob without leading or trailing `/`."""
    segments = glob.split(b"/")
    last = len(segments) - 1
    parts: list[bytes] = []
    for index, segment in enumerate(segments):
        if segment != b"**":
            parts += map(_token, _TOKENS.finditer(segment))
            parts += [b"/"] if index < last else []
        elif index < last:
            parts.append(b"(?:[^/]+/)*")
        else:
            parts.append(b"(?s:.+)")
    return b"".join(parts)


_TOKENS = re.compile(rb"(?s)(\*+)|(\?)|\[([!^]?)(\]?[^\]]+|\])\]|(.)")


def _token(found: re.Match[bytes]) -> bytes:
    stars, question, negated, members, literal = found.groups()
    if stars:
        return b"[^/]*"
    if question:
        return b"[^/]"
    if literal is not None:
        return re.escape(literal)
    inside = re.sub(rb"([\\\[\]&~|^])", rb"\\\1", members)
    return b"(?!/)[" + (b"^" if negated else b"") + inside + b"]"


# Names that tell that a file or a folder need not be looked at.
#
# A cheap first filter only: what is a picture is decided by content, later. A name that is not
# listed here is always looked into, so a JPEG called `photo` or `photo.old` is found.


#: Folders never entered: thumbnail caches of this standard and of GIMP, Git's store, the
#: previews of Synology's indexer.
PRUNED: Final = frozenset((b".thumbnails", b".sh_thumbnails", b".thumblocal", b".git", b"@eaDir"))

#: A folder with an entry of this name asks media programs to stay out (Android).
NO_MEDIA: Final = b".nomedia"

#: Folders that hold thumbnails. Nothing below them is ever a source, named by the user or not
#: (standard, Thumbnail Creation: no thumbnail of a thumbnail).
_CACHES: Final = re.compile(
    rb"""/ (?: \.thumbnails | \.sh_thumbnails | \.thumblocal
             | \.cache/thumbnails
             | \.var/app/[^/]+/cache/thumbnails   # where a Flatpak program has its own
           ) (?: / | \Z )""",
    re.VERBOSE,
)

#: Endings, lower-cased, of files that no decoder of pregen or of its extras could ever read.
#: Left out on purpose, as they also end the names of pictures, previews or clips, or of documents
#: and sound that may hold a picture: .docx .odt .epub .mp3 .flac; .thm .ts .mts
#: .m2t .dat .bin .img .raw .tmp .part .bak .old .orig .pdf .ai .eps .svgz, and everything unknown.
NOT_PICTURES: Final = frozenset(
    b"." + word
    for line in (
        # text, documents, mail
        b"txt text md rst rtf log nfo tex bib csv tsv doc dot xls ppt pps mobi azw3 djvu chm eml",
        b"mbox msg vcf ics srt sub ass vtt",
        # settings, data, web pages
        b"json jsonl geojson xml xsl xsd yaml yml toml ini cfg conf properties plist sql sqlite",
        b"sqlite3 sqlite3-wal sqlite3-shm sqlite-journal db db-wal db-shm mdb parquet npy npz",
        b"pickle pkl h5 hdf5",
        b"html htm xhtml mhtml css scss sass less url webloc desktop torrent gpx kml kmz",
        # what photo programs keep beside a picture
        b"xmp pp3 dop aae on1 cos cosessiondb lrcat lrdata lrtemplate vrd nksc arp bib3 pto",
        # programs
        b"py pyc pyo pyi ipynb js mjs cjs jsx tsx map c cc cpp cxx h hh hpp hxx java class jar kt",
        b"go rs rb pl pm php lua sh bash zsh fish ps1 bat cmd vbs cs swift scala r jl asm s o a so",
        b"dll exe msi sys lib ko wasm deb rpm apk ipa appimage flatpak snap",
        # sound of which no cover is read
        b"wav wave aif aiff aifc aac ac3 dts mid midi amr ape wv",
        b"m3u m3u8 pls cue",
        # archives, disk images, keys, checksums
        b"zip 7z rar tar gz tgz bz2 tbz2 xz txz zst lz4 lzma cab iso dmg vhd vhdx vmdk vdi qcow2",
        b"crypt key pem crt cer p12 gpg asc sig md5 sha1 sha256 sfv par2",
        # fonts
        b"ttf otf ttc woff woff2 pfb afm",
    )
    for word in line.split()
)


def cannot_be_picture(name: bytes) -> bool:
    """Tell whether a file of this name is passed over without a look at its content."""
    # With no dot in the name rfind gives -1: one character, never in the set.
    return name[name.rfind(b".") :].lower() in NOT_PICTURES


def in_named_cache(path: bytes) -> bool:
    """Tell whether `path` is, or lies below, a folder known by its name to hold thumbnails."""
    return _CACHES.search(path) is not None


class WantedFolders:
    """The folders of an `Only`, for a walk of a part of a tree, and those on the way to them."""

    def __init__(self, only: Only) -> None:
        self._trees = only.trees
        self._ways = {*only.folders, *only.trees}
        for folder in tuple(self._ways):
            above = folder.rpartition(b"/")[0]
            while above and above not in self._ways:
                self._ways.add(above)
                above = above.rpartition(b"/")[0]

    def enters(self, folder: bytes) -> bool:
        """Tell whether `folder` is, or leads to, or lies in a part that is wanted."""
        if folder in self._ways:
            return True
        above = folder.rpartition(b"/")[0]
        while above:
            if above in self._trees:
                return True
            above = above.rpartition(b"/")[0]
        return False


class Caches:
    """Keeps the walk out of thumbnail caches: there are no thumbnails of thumbnails.

    Knows the cache in use by name, by device and inode and by real path, and all others by name.
    """

    def __init__(self, cache_root: bytes, files: BoundedFiles) -> None:
        self._files = files
        self._root = clean_path(cache_root, b"/") if cache_root else b""
        self._real_root = os.path.realpath(cache_root) if cache_root else b""
        self._identity = (-1, -1)
        if self._root:
            try:
                status = os.stat(cache_root)
            except OSError:
                pass  # Not made yet: its name will do.
            else:
                self._identity = (status.st_dev, status.st_ino)
        self._last: tuple[bytes, bool] = (b"", False)

    def named(self, folder: bytes) -> bool:
        """Tell whether a folder met on the way down is a cache, by its name and those above."""
        return folder == self._root or (folder.endswith(b"/thumbnails") and in_named_cache(folder))

    def is_root(self, entry: os.DirEntry[bytes] | ShareEntry) -> bool:
        """Tell whether a folder met on the way down is the cache in use under another name.

        Raises OSError when the folder cannot be examined.
        """
        device, inode = self._identity
        return entry.inode() == inode and entry.stat(follow_symlinks=False).st_dev == device

    def holds(self, folder: bytes) -> bool:
        """Tell whether `folder`, come by any way, is a cache or lies in one."""
        if folder != self._last[0]:
            self._last = (
                folder,
                self._inside(folder) or self._inside(self._files.realpath(folder)),
            )
        return self._last[1]

    def _inside(self, folder: bytes) -> bool:
        return in_named_cache(folder) or any(
            root and (folder == root or folder.startswith(root + b"/"))
            for root in (self._root, self._real_root)
        )
