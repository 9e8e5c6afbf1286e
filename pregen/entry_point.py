"""Where the program begins: what is best done before the command line is imported.

Where a run is likely to need workers, the process that they are forked from is started, whose
imports and the program's own then go on side by side. Single fresh thumbnails are told at once.

A file manager calls `pregen path` for every file it shows. What the command line needs takes longer
to import than the answer to find, so the usual question is answered without: files by name, one
size, all up to date. All other calls go the usual way, and are answered alike.
"""

from __future__ import annotations

import gc
import os
import stat
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Objects made before garbage is looked for; Python's own 700 has it looked for a hundred times
#: while the program is imported, where there is none.
_GARBAGE_AFTER: Final = 50_000
#: What `engines.base.WORK_MODULE` says, which takes too long to import just yet.
WORK_MODULE: Final = "pregen.work"
#: Of one of these is a share mounted, as /proc/PID/mountinfo writes it: programs, host:/path,
#: //host/share. Only where there are any, what knows them all is imported now.
_SIGNS_OF_SHARES: Final = (b" - fuse", b" - autofs", b":/", b" //")
_HELP: Final = frozenset({"-h", "--help", "--help-all"})


def main() -> NoReturn:
    """Entry point of `pregen` and `python -m pregen`."""
    gc.set_threshold(_GARBAGE_AFTER)
    if None in (sys.stdin, sys.stdout, sys.stderr):
        open_closed_streams()
    if needs_workers(sys.argv[1:]):
        from pregen.engines.local import server  # noqa: PLC0415 - see the module

        server.start_early([WORK_MODULE])
    if sys.argv[1:2] == ["path"]:
        answer = fresh_paths(sys.argv[2:])
        if answer is not None:
            try:
                sys.stdout.buffer.write(answer)
                sys.stdout.buffer.flush()
            except OSError:
                pass  # its reader is gone: the usual way says so
            else:
                sys.exit(0)
    from pregen.cli import main as program  # noqa: PLC0415 - see the module

    program()


def open_closed_streams() -> None:
    """Have standard streams that are closed (`pregen ... >&-`) lead nowhere.

    Otherwise what is opened next takes their numbers: the journal, or a pipe to a worker. In every
    program that is started as well.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(number, True)  # noqa: FBT003 - takes no keywords
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - until the end


def needs_workers(arguments: Sequence[str]) -> bool:
    """Tell whether workers are likely to have something to do.

    Only a guess, by what can be had at once: that something which is named has changed since the
    last entry was stored. A wrong one costs the start of workers that are not needed, or that of a
    long run the tenth of a second which it has anyway.
    """
    if arguments[:1] != ["run"] or not _HELP.isdisjoint(arguments):
        return False
    from pregen.thumbspec.naming import thumbnails_root  # noqa: PLC0415 - see the module

    cache = os.fsencode(os.environ.get("PREGEN_CACHE", ""))
    root = cache or thumbnails_root(os.environ, os.path.expanduser("~"))
    stored_ns = max(map(_changed_ns, (root + b"/normal", root + b"/large")))
    names = list(map(os.fsencode, arguments[1:]))
    return _any_on_share(names) or any(_changed_ns(each) > stored_ns for each in names)


def _any_on_share(names: Sequence[bytes]) -> bool:
    """Tell whether to look at one of these paths may take forever."""
    try:
        with open("/proc/self/mountinfo", "rb") as listed:
            lines = listed.read().splitlines()
        points = {
            line.split(b" ", 5)[4]
            for line in lines
            if any(sign in line for sign in _SIGNS_OF_SHARES)
        }
        if not points:
            return False
        from pregen.thumbspec.naming import clean_path  # noqa: PLC0415 - see the module

        here = os.getcwdb()
        paths = [clean_path(name, here) for name in names if name]
        if not any(_may_lead_to(points, path) for path in paths):
            return False
        from pregen.filesystems.bounded import BoundedFiles  # noqa: PLC0415 - see the module

        is_on_share = BoundedFiles().is_on_share
        return any(map(is_on_share, paths))
    except (OSError, ValueError):
        return False


def _may_lead_to(points: Collection[bytes], path: bytes) -> bool:
    """Tell whether a path leads to one of these mount points, as far as can be seen at once.

    Args:
        points: as mountinfo writes them, with some bytes escaped.
        path: absolute and clean.
    """
    if b"/" in points or any(b"\\" in point for point in points):
        return True
    end = 0
    while end < len(path):
        end = path.find(b"/", end + 1)
        end = len(path) if end < 0 else end
        if path[:end] in points or os.path.islink(path[:end]):
            return True
    return False


def _changed_ns(path: bytes) -> int:
    try:
        return os.stat(path).st_ctime_ns
    except (OSError, ValueError):
        return 0


def fresh_paths(arguments: Sequence[str]) -> bytes | None:
    """Return what `pregen path` prints where every entry is fresh.

    Args:
        arguments: behind `path`.

    Returns:
        A line for each file. None: the answer takes more than a look.
    """
    flavor_name, files = "large", list(arguments)
    if files[:1] == ["--flavor"]:
        flavor_name, files = "".join(files[1:2]), files[2:]
    if not files or any(file.startswith("-") or not file for file in files) or _is_configured():
        return None
    if _any_on_share(list(map(os.fsencode, files))):
        return None

    from pregen.cache.lookup import has_fresh  # noqa: PLC0415 - only this verb begins so
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise
    from pregen.errors import PregenError  # noqa: PLC0415 - likewise
    from pregen.model import ALL_FLAVORS  # noqa: PLC0415 - likewise
    from pregen.thumbspec.naming import clean_path, entry_path, thumbnails_root  # noqa: PLC0415
    from pregen.thumbspec.uri import file_uri  # noqa: PLC0415 - likewise

    flavor = next((each for each in ALL_FLAVORS if each.directory == flavor_name), None)
    if flavor is None:
        return None
    root = thumbnails_root(os.environ, os.path.expanduser("~"))
    lines = []
    try:
        with Cache(root) as cache:
            folder = cache.folder(flavor)
            for file in files:
                name = os.fsencode(file)
                path = clean_path(name, b"/" if name.startswith(b"/") else _working_directory())
                uri, facts = file_uri(path), os.stat(path)
                found = folder, flavor, uri, facts.st_mtime_ns, facts.st_size
                if not (stat.S_ISREG(facts.st_mode) and has_fresh(*found)):
                    return None
                lines.append(entry_path(root, flavor, uri) + b"\n")
    except (OSError, ValueError, PregenError):
        return None
    return b"".join(lines)


def _is_configured() -> bool:
    """Tell whether another cache may be meant, or something is set that the verb would refuse."""
    if any(name.startswith("PREGEN_") for name in os.environ):
        return True
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.config")
    return os.path.lexists(os.path.join(base, "pregen", "config.toml"))


def _working_directory() -> bytes:
    from pregen.walk.roots import working_directory  # noqa: PLC0415 - for relative names only

    return working_directory(os.environ)
