"""`--include` and `--exclude`: patterns over the bytes of names and paths. Pure.

A pattern without `/` is matched against the name alone, at any depth; one with `/` against the
path below its root; one that begins with `/` against that as well, or against the whole path. One
that ends in `/` is for folders only. `*`, `?` and `[...]` never match a `/`; `**` as a whole
segment stands for any number of folders. Letters match as they are written (`*.jpg` is not
`*.JPG`), a leading dot needs no special care. A folder that is excluded is not entered; `include`
is for files only; `exclude` wins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pregen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
                f"--include {shown}: this is for folders, but --include chooses files. "
                f"Use {shown}** instead."
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
            raise UsageError("A pattern of --include or --exclude is empty; leave it out.")
        try:
            regex = translate(pattern.lstrip(b"/"))
            re.compile(regex)
        except re.error as error:
            shown = glob.decode("utf-8", "backslashreplace")
            raise UsageError(f"The pattern {shown} makes no sense: {error}.") from error
        if b"/" not in pattern:
            names.append(regex)
            continue
        below.append(regex)
        if pattern.startswith(b"/"):
            whole.append(b"/" + regex)
    return _Patterns(_union(names), _union(below), _union(whole))


def _union(regexes: list[bytes]) -> Match | None:
    return re.compile(b"|".join(regexes)) if regexes else None


def translate(glob: bytes) -> bytes:
    """Return the regular expression for a glob without leading or trailing `/`."""
    segments = glob.split(b"/")
    last = len(segments) - 1
    parts: list[bytes] = []
    for index, segment in enumerate(segments):
        if segment != b"**":
            parts.append(_segment(segment) + (b"/" if index < last else b""))
        elif index < last:
            parts.append(b"(?:[^/]+/)*")
        else:
            parts.append(b"(?s:.+)")
    return b"".join(parts)


_TOKENS = re.compile(rb"(?s)(\*+)|(\?)|\[([!^]?)(\]?[^\]]+|\])\]|(.)")


def _segment(segment: bytes) -> bytes:
    return b"".join(_token(found) for found in _TOKENS.finditer(segment))


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
