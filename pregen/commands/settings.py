"""The configuration file: `$XDG_CONFIG_HOME/pregen/config.toml`, flat keys named like the flags.

    workers = 4
    flavors = "normal,large,x-large"
    exclude = ["*.tif", "scans/**"]
    no-refit = true

It gives defaults. The environment comes before it, the command line before both.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from typing import TYPE_CHECKING, Any

import click

from pregen.commands.style import Command
from pregen.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What a value must be, by the type of the flag; ranges are of their numbers' types.
_KINDS: tuple[tuple[type, str, tuple[type, ...]], ...] = (
    (type(click.BOOL), "true or false", (bool,)),
    (type(click.INT), "a whole number", (int,)),
    (type(click.FLOAT), "a number", (int, float)),
)


_HELP = frozenset({"-h", "--help"})


class ConfiguredCommand(Command):
    """A command whose defaults come from the configuration file."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the file, then parse. Help is shown whatever the file says."""
        if not _HELP & set(args):
            extra["default_map"] = load_defaults(config_path(os.environ), self)
        return super().make_context(info_name, args, parent, **extra)


def config_path(environ: Mapping[str, str]) -> str:
    """Return where the configuration file is (XDG Base Directory: a relative path is ignored)."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.config")
    return os.path.join(base, "pregen", "config.toml")


def load_defaults(path: str, command: click.Command) -> dict[str, Any]:
    """Return what the file sets for the options of `command`, as a `default_map` of click.

    Raises:
        UsageError: The file cannot be read, is no TOML, or has a key or a value that makes no
            sense; the message names file and key.
    """
    try:
        with open(path, "rb") as file:
            settings = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error
    options = _options(command)
    defaults = {}
    for key, value in settings.items():
        if key not in options:
            raise UsageError(f"{path}: unknown key `{key}`.{_suggestion(key, options)}")
        option, inverted = options[key]
        try:
            checked = _checked(option, value)
        except ValueError as error:
            raise UsageError(f"{path}: `{key}` {error}") from error
        defaults[str(option.name)] = not checked if inverted else checked
    return defaults


def _options(command: click.Command) -> dict[str, tuple[click.Option, bool]]:
    """Return the options by the names of their flags; True for the name that switches off."""
    found = {}
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_eager:
            for names, inverted in ((option.opts, False), (option.secondary_opts, True)):
                for name in names:
                    if name.startswith("--"):
                        found[name[2:]] = (option, inverted)
    return found


def _suggestion(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f" Did you mean `{close[0]}`?" if close else " Keys are named like the flags of `run`."


def _checked(option: click.Option, value: object) -> object:
    """Return the value, or its list; ValueError when it is of the wrong type or makes no sense."""
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        return [_checked_one(option, each, "a list of texts") for each in values]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ",".join(value)
    return _checked_one(option, value, "a text")


def _checked_one(option: click.Option, value: object, text_words: str) -> object:
    words, types = next(
        ((words, types) for kind, words, types in _KINDS if isinstance(option.type, kind)),
        (text_words, (str, int)),
    )
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ValueError(f"must be {words}, not {value!r}.")
    try:
        option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise ValueError(f"= {value!r}: {error.message}") from error
    return value
