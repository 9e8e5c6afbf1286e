"""One cache for every verb, however it is named; and what may not be set in the environment."""

from __future__ import annotations

import os
import shlex
import signal
import tarfile
from typing import TYPE_CHECKING

import pytest

from pregen.errors import UsageError
from pregen.session import this_session
from pregen.thumbspec.naming import entry_path
from pregen.thumbspec.uri import file_uri
from pregen.verbs.run import run
from tests.support.files.pictures import jpeg, put
from tests.support.running.program import Running, run_pregen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pregen.config import DaskConfig
    from tests.support.running.program import Finished

from pregen.model import Flavor


class Named:
    """A cache that is not the user's, and a way to name it to the program."""

    def __init__(self, home: Path, root: Path, way: str) -> None:
        self.home = home
        self.root = root
        self.way = way
        if way == "file":
            config = f'cache = "{root}"\n'
            put(home / "config" / "pregen" / "config.toml", config.encode())

    def words(self, verb: str, *arguments: str | Path) -> list[str]:
        words = [verb, *map(str, arguments)]
        named = ["--cache", str(self.root)]
        return {"before": [*named, *words], "after": [verb, *named, *words[1:]]}.get(
            self.way, words
        )

    @property
    def env(self) -> dict[str, str]:
        return {"PREGEN_CACHE": str(self.root)} if self.way == "variable" else {}

    def call(
        self, verb: str, *arguments: str | Path, stdin: bytes = b"", code: int = 0
    ) -> Finished:
        done = run_pregen(*self.words(verb, *arguments), env=self.env, stdin=stdin)
        assert done.code == code, done
        return done

    def entry(self, source: Path) -> Path:
        uri = file_uri(os.fsencode(source))
        return self.root / os.path.relpath(entry_path(b"/", Flavor.LARGE, uri), b"/").decode()


@pytest.fixture(params=["before", "after", "variable", "file"])
def named(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[Named]:
    yield Named(home, tmp_path / "elsewhere", request.param)
    assert not (home / "cache" / "thumbnails").exists(), "somebody worked on the user's own cache"


@pytest.mark.usefixtures("home")
def test_two_caches_are_told_apart_and_commands_name_theirs(tmp_path: Path) -> None:
    """Runs and failures of one are not shown of the other; what is advised works as it stands."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    bad = [put(folder / "bad.jpg", jpeg(300, 200)[:400]) for folder in (mine, theirs)]
    elsewhere = ["--cache", str(tmp_path / "a second one")]
    ran = [run_pregen("run", mine), run_pregen("run", theirs, *elsewhere)]
    assert [done.code for done in ran] == [3, 3], ran
    advised = ["pregen failures", shlex.join(["pregen", "failures", *elsewhere])]
    for done, words, file in zip(ran, advised, bad, strict=True):
        assert done.out.splitlines()[-1].endswith(f"1 file failed: {words}")
        listed = run_pregen(*shlex.split(words)[1:], "--paths")
        assert listed.out == f"{file}\n", listed
    for number, named in ((1, []), (2, elsewhere)):
        (status,) = run_pregen("status", "--json", *named).records
        assert [run["id"] for run in status["runs"]] == [number]
        assert status["failure_counts"] == {"invalid": 1}
        assert status["failures"][0]["path"] == str(bad[number - 1])
        assert run_pregen("status", *named).out.splitlines()[-1].endswith(advised[number - 1])
        assert f"pregen run {number}" in run_pregen("report", "-o", "-", *named).out
    # it failed for both, and one is told of a run on the other
    assert run_pregen("run", mine, *elsewhere).code == 3
    assert run_pregen("failures", "--paths").out == f"{bad[0]}\n"
    assert run_pregen("failures", "--paths", *elsewhere).out == f"{bad[0]}\n{bad[1]}\n"


def test_every_verb_works_on_the_cache_that_is_named(named: Named, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    good = put(photos / "good.jpg", jpeg(300, 200))
    bad = put(photos / "bad.jpg", jpeg(300, 200)[:400])
    named.call("run", "--quiet", photos, code=3)
    assert named.entry(good).exists()

    (status,) = named.call("status", "--json").records
    assert (status["cache"]["path"], status["flavors"]["large"]["entries"]) == (str(named.root), 1)
    (shown,) = named.call("show", "--json", good).records
    assert str(named.entry(good)) in [
        entry["path"] for uri in shown["uris"] for entry in uri["entries"]
    ]
    assert named.call("verify", "--json").summary["entries"] >= 2
    assert named.call("clean", "--dry-run", "--json").summary["entries"] >= 2
    (failure, _) = named.call("failures", "--json").records
    assert (failure["path"], bool(failure["programs"])) == (str(bad), True)

    page = named.call("report", "-o", "-").out
    assert page.count("data:image/jpeg") >= 1, "its contact sheet shows entries of this cache"

    archive = tmp_path / "out.tar"
    named.call("export", "--to", archive, "--flavors", "large")
    with tarfile.open(archive) as tar:
        assert [os.path.basename(name) for name in tar.getnames()] == [named.entry(good).name]
    named.entry(good).unlink()
    named.call("import", archive)
    assert named.entry(good).exists()

    (named.root / "large").chmod(0o500)
    assert str(named.root / "large") in named.call("doctor", "--json", code=4).out
    (named.root / "large").chmod(0o700)


def test_repairs_and_retries_work_on_the_cache_that_is_named(named: Named, tmp_path: Path) -> None:
    good = put(tmp_path / "photos" / "good.jpg", jpeg(300, 200))
    named.call("run", "--quiet", tmp_path / "photos")
    named.entry(good).write_bytes(named.entry(good).read_bytes()[:-40])
    named.call("verify", "--repair", "--sample", "5", "--json")
    assert named.call("verify", "--json").summary["bad"] == 0
    bad = put(tmp_path / "photos" / "bad.jpg", jpeg(300, 200)[:400])
    named.call("run", "--quiet", tmp_path / "photos", code=3)
    stat = bad.stat()
    put(bad, jpeg(300, 200))
    os.utime(bad, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    named.call("failures", "--retry", "--json")
    assert named.entry(bad).exists()


def test_a_watch_works_on_the_cache_that_is_named(named: Named, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    good = put(tmp_path / "photos" / "good.jpg", jpeg(300, 200))
    words = named.words("watch", "--settle", "0.2", tmp_path / "photos")
    with Running(*words, env=named.env) as running:
        running.wait_for_stderr("Watching for changes")
        running.send(signal.SIGINT)
        assert running.end().code == 130
    assert named.entry(good).exists()


def test_the_nearest_name_of_the_cache_counts(home: Path, tmp_path: Path) -> None:
    put(home / "config" / "pregen" / "config.toml", f'cache = "{tmp_path}/file"\n'.encode())
    environment = {"PREGEN_CACHE": f"{tmp_path}/variable"}

    def cache(*words: str, env: dict[str, str] | None = None) -> str:
        (record,) = run_pregen(*words, "--json", env=env).records
        return str(record["cache"]["path"]).rpartition("/")[2]

    assert cache("status") == "file"
    assert cache("status", env=environment) == "variable"
    assert cache("--cache", f"{tmp_path}/before", "status", env=environment) == "before"
    both = ("--cache", f"{tmp_path}/before", "status", "--cache", f"{tmp_path}/after")
    assert cache(*both, env=environment) == "after"


def test_what_is_wrong_with_a_name_that_does_not_count_ends_nothing(
    home: Path, tmp_path: Path
) -> None:
    file = put(tmp_path / "file", b"not a folder")
    variable = {"PREGEN_CACHE": str(file)}
    assert f"the cache {file} is not a folder" in run_pregen("status", env=variable).err
    named = ("--cache", tmp_path / "named")
    done = run_pregen("status", *named, env=variable)
    assert (done.code, done.err) == (0, ""), done
    assert done.out.endswith(f"No run yet: pregen run FOLDER --cache {tmp_path}/named\n")
    put(home / "config" / "pregen" / "config.toml", f'cache = "{file}"\n'.encode())
    assert run_pregen("status", *named).out == done.out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PREGEN_YES", ["clean"]),
        ("PREGEN_MISSING", ["clean", "--yes"]),
        ("PREGEN_UNDER", ["clean", "--yes"]),
        ("PREGEN_REPAIR", ["verify"]),
        ("PREGEN_SAMPLE", ["verify"]),
        ("PREGEN_RETRY", ["failures"]),
        ("PREGEN_FORGET", ["failures"]),
        ("PREGEN_MOUNT_TIMEOUT", ["failures"]),
        ("PREGEN_FORCE", ["run", "."]),
        ("PREGEN_UPDATE", ["share", "."]),
        ("PREGEN_RUNS", ["status"]),
        ("PREGEN_TO", ["export"]),
    ],
)
def test_what_one_call_does_is_not_set_in_the_environment(
    name: str, words: list[str], tmp_path: Path
) -> None:
    photo = put(tmp_path / "photos" / "a.jpg", jpeg(300, 200))
    assert run_pregen("run", "--quiet", tmp_path / "photos", cache=tmp_path / "cache").code == 0
    photo.unlink()
    before = sorted((tmp_path / "cache").rglob("*"))
    done = run_pregen(*words, cache=tmp_path / "cache", env={name: "1"})
    assert (done.code, done.out) == (2, ""), done
    assert f"{name} is set, but --{name[7:].lower().replace('_', '-')} is not a setting" in done.err
    assert f"Unset {name}" in done.err
    assert sorted((tmp_path / "cache").rglob("*")) == before
    assert run_pregen(words[0], "--help", env={name: "1"}).code == 0


def test_a_misspelt_variable_is_refused_with_the_right_one() -> None:
    done = run_pregen("status", env={"PREGEN_WORKRS": "3"})
    assert done.code == 2
    assert "no setting PREGEN_WORKRS. Did you mean PREGEN_WORKERS?" in done.err
    assert run_pregen("status", env={"PREGEN_OF_ANOTHER_PROGRAM": "3"}).code == 0


def test_a_refused_variable_ends_json_with_a_summary() -> None:
    done = run_pregen("run", "--json", ".", env={"PREGEN_FORCE": "1"})
    assert done.code == 2
    assert "PREGEN_FORCE" in done.summary["error"]


def test_a_setting_of_runs_does_not_limit_an_action_of_the_same_name(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.jpg", jpeg(300, 200))
    environment = {"PREGEN_FLAVORS": "normal"}
    run_pregen("run", "--flavors", "normal,large", tmp_path / "photos", cache=tmp_path / "cache")
    archive = tmp_path / "out.tar"
    done = run_pregen("export", "--to", archive, cache=tmp_path / "cache", env=environment)
    assert done.code == 0, done
    with tarfile.open(archive) as tar:
        assert {name.split("/")[-2] for name in tar.getnames()} == {"normal", "large"}


def test_force_is_no_key_of_the_file(home: Path) -> None:
    put(home / "config" / "pregen" / "config.toml", b"force = true\n")
    done = run_pregen("run", home)
    assert done.code == 2
    assert "`force` is not a setting" in done.err


def _cluster(*words: str) -> DaskConfig | None:
    values = run.make_context("run", ["--engine", "dask", *words, "a"]).params
    return this_session().run_config(values, values["paths"]).engine.dask


def test_the_file_of_a_scheduler_is_named_as_its_address_or_the_old_way() -> None:
    for words in (["--scheduler", "/run/it.json"], ["--scheduler-file", "/run/it.json"]):
        cluster = _cluster(*words)
        assert cluster is not None
        assert (cluster.scheduler, cluster.scheduler_file) == ("", "/run/it.json")
    for address in ("tcp://host:8786", "host:8786", "local:2"):
        cluster = _cluster("--scheduler", address)
        assert cluster is not None
        assert (cluster.scheduler, cluster.scheduler_file) == (address, "")


def test_little_memory_means_few_workers() -> None:
    def workers(size: str) -> int:
        values = run.make_context("run", ["--workers", "8", "--memory-limit", size, "a"]).params
        return this_session().run_config(values, values["paths"]).engine.workers

    assert workers("700M") == 3
    assert workers("200M") == 1
    assert workers("9G") == 8


def test_what_the_user_sets_is_read_without_a_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home / "config" / "pregen" / "config.toml", b"workers = 3\nmax-pixels = 7\n")
    monkeypatch.setenv("PREGEN_WORKERS", "4")
    monkeypatch.setenv("PREGEN_FORCE", "1")
    session = this_session()
    config = session.run_config(session.run_values(wait=True))
    assert (config.engine.workers, config.work.max_pixels, config.wait) == (4, 7, True)
    assert not config.plan.force
    put(home / "config" / "pregen" / "config.toml", b"workers = 0\n")
    with pytest.raises(UsageError, match="workers"):
        this_session().run_values()
