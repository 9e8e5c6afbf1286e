"""What `pregen doctor --fix` can do about a finding: values, of which nothing is done here."""

from __future__ import annotations

import shlex
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from pregen.display.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping


class Needs(Enum):
    """What a program needs to do its work."""

    SESSION = "session"
    """The user's session bus; one of its own where there is none."""
    ROOT = "root"


class RunProgram(NamedTuple):
    """Run a program of the desktop or of the distribution."""

    argv: tuple[str, ...]
    needs: Needs

    @property
    def question(self) -> str:
        """What a person is asked."""
        return f"Run `{shlex.join(self.argv)}`?"


class SetValues(NamedTuple):
    """Set values in a file of groups and keys; its other lines stay."""

    path: bytes
    """Of the user's file, which need not exist."""
    base: bytes
    """Of the file whose lines the user's begins with where it does not exist; empty: none."""
    groups: Mapping[str, Mapping[str, str]]
    """Values by group and key."""

    @property
    def question(self) -> str:
        """What a person is asked."""
        keys = ", ".join(dict.fromkeys(key for values in self.groups.values() for key in values))
        return f"Set {keys} in {shown(self.path)}?"


class GiveBack(NamedTuple):
    """Make a user the owner of a cache and of all in it."""

    root: bytes
    uid: int
    owner: str

    @property
    def question(self) -> str:
        """What a person is asked."""
        return f"Make {self.owner} the owner of {shown(self.root)}?"


class SetModes(NamedTuple):
    """Change modes of a cache's folders and entries."""

    root: bytes
    for_others: bool
    """True: take all rights from others. False: give the owner those that are missing."""

    @property
    def question(self) -> str:
        """What a person is asked."""
        where = shown(self.root)
        if self.for_others:
            return f"Keep other users out of {where}?"
        return f"Let your own programs read and write {where}?"


Fix = RunProgram | SetValues | GiveBack | SetModes
