"""The configuration file, and what goes before what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pregen.commandline import Option
from pregen.config import Order, declared
from pregen.engines.base import ENGINES
from pregen.errors import UsageError
from pregen.model import Flavor
from pregen.options import config_path, load_defaults
from pregen.verbs.run import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(home: Path) -> Path:
    path = home / "config" / "pregen" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def _values(*arguments: str) -> dict[str, Any]:
    return run.make_context("run", list(arguments)).params


def test_without_a_file_the_defaults_hold(home: Path) -> None:
    assert not (home / "config").exists()
    values = _values("a")
    assert values["flavors"] == ()
    assert values["max_pixels"] == 500_000_000
    assert values["timeout_s"] == 60
    assert values["workers"] is None
    assert values["refit"]
    assert values["paths"] == (b"a",)


def test_the_file_goes_before_defaults(config: Path) -> None:
    config.write_text(
        'workers = 3\nflavors = ["large", "x-large"]\nexclude = ["*.tif", "a b"]\n'
        'max-pixels = "1G"\ntimeout = 5\nhidden = true\norder = "newest"\n'
    )
    values = _values("a")
    assert values["workers"] == 3
    assert values["flavors"] == (Flavor.LARGE, Flavor.X_LARGE)
    assert values["exclude"] == (b"*.tif", b"a b")
    assert values["max_pixels"] == 1_000_000_000
    assert values["timeout_s"] == 5
    assert values["hidden"]
    assert values["order"] is Order.NEWEST


def test_sizes_are_chosen_where_none_are_named(config: Path) -> None:
    config.write_text('flavors = "xx-large"\n')
    assert _values("a")["flavors"] == (Flavor.XX_LARGE,)
    assert _values("--flavors", "auto", "a")["flavors"] == ()
    config.write_text('flavors = "auto"\n')
    assert _values("a")["flavors"] == ()
    assert _values("--flavors", "large", "a")["flavors"] == (Flavor.LARGE,)


def test_the_environment_goes_before_the_file_and_the_command_line_before_both(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("workers = 3\nhidden = true\nmax-pixels = 7\n")
    monkeypatch.setenv("PREGEN_WORKERS", "4")
    monkeypatch.setenv("PREGEN_HIDDEN", "0")
    assert _values("a")["workers"] == 4
    assert not _values("a")["hidden"]
    assert _values("--workers", "5", "a")["workers"] == 5
    assert _values("a")["max_pixels"] == 7


def test_both_names_of_a_switch_are_keys(config: Path) -> None:
    config.write_text("no-refit = true\n")
    assert not _values("a")["refit"]
    assert _values("--refit", "a")["refit"]
    config.write_text("refit = false\n")
    assert not _values("a")["refit"]


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("worker = 3\n", "worker", "Did you mean `workers`?"),
        ("xyzzy = 3\n", "xyzzy", "unknown key"),
        ("[run]\nworkers = 3\n", "run", "No tables are needed"),
        ('workers = "3"\n', "workers", "a whole number"),
        ("workers = true\n", "workers", "a whole number"),
        ("workers = 0\n", "workers", "0"),
        ("hidden = 1\n", "hidden", "true or false"),
        ('timeout = "long"\n', "timeout", "a number"),
        ('flavors = "huge"\n', "flavors", "huge"),
        ("flavors = [1]\n", "flavors", "a text"),
        ('order = "random"\n', "order", "random"),
        ("exclude = [3.5]\n", "exclude", "a list of strings"),
        ('max-pixels = "many"\n', "max-pixels", "many"),
        ("shard = 3\n", "shard", "not a part"),
        ("until = 6\n", "until", "not a time of day"),
        ("force = true\n", "force", "not a setting"),
    ],
)
def test_a_key_or_value_that_makes_no_sense_is_named_with_its_file(
    config: Path, text: str, key: str, says: str
) -> None:
    config.write_text(text)
    with pytest.raises(UsageError) as error:
        _values("a")
    assert str(config) in str(error.value)
    assert f"`{key}`" in str(error.value)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"), [(b"workers = \n", "not valid TOML"), (b"\xff\xfe", "not UTF-8 text")]
)
def test_a_file_that_is_no_toml_is_refused(config: Path, content: bytes, says: str) -> None:
    config.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        _values("a")


def test_a_file_that_cannot_be_read_is_refused(config: Path) -> None:
    config.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load_defaults(str(config))


def test_a_relative_config_home_does_not_count(home: Path) -> None:
    expected = str(home / ".config" / "pregen" / "config.toml")
    assert config_path({"XDG_CONFIG_HOME": "relative"}) == expected
    assert config_path({}) == expected
    assert config_path({"XDG_CONFIG_HOME": "/c"}) == "/c/pregen/config.toml"


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREGEN_WORKERS", "many")
    with pytest.raises(UsageError, match=r"\$PREGEN_WORKERS"):
        _values("a")


def test_every_setting_has_its_variable() -> None:
    options = {each.flag: each for each in run.params if isinstance(each, Option)}
    for setting in declared():
        option = options[f"--{setting.name}"]
        variable = f"PREGEN_{setting.name.replace('-', '_').upper()}"
        if setting.flag.action or setting.name == "cache":  # which the program itself takes
            assert option.envvar is None
        else:
            assert option.envvar == variable


def test_no_setting_is_declared_twice() -> None:
    names = [setting.name for setting in declared()]
    fields = [setting.field for setting in declared()]
    assert len(set(names)) == len(names)
    assert len(set(fields)) == len(fields)


def test_every_engine_can_be_chosen() -> None:
    (engine,) = (setting for setting in declared() if setting.name == "engine")
    assert set(engine.flag.choices) == set(ENGINES)
