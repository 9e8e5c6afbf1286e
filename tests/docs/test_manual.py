"""The manual and the README: the site is built, its links lead somewhere, and its commands run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.files.pictures import jpeg, put
from tests.support.files.source_trees import few
from tests.support.running.capabilities import Capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = ("README.md", "docs/install.md", "docs/guide.md", "docs/servers.md", "docs/shares.md")
pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="not a checkout")
#: Not run here, and why. Everything else is.
NOT_RUN = {
    "uv ": "installs for good (tests/installation)",
    "pipx ": "the same",
    "python3 -m venv": "the same",
    "~/.venvs": "the same",
    "rm -rf": "nothing of ours",
    "scripts/pregen --with": "fetches packages (tests/installation)",
    "pregen run /srv/archive --engine dask": "there is no cluster (tests/engines)",
    "podman ": "needs an image of Debian from a registry",
    "gsettings": "a setting of GNOME, as `pregen doctor` prints it",
}
FOLDERS = ("/mnt/nas", "/mnt/archive", "/srv/photos", "/srv/thumbs", "/var/lib/node_exporter")
#: Done, some failed, problems found: what they say is not the subject here.
ENDINGS = {0, 3, 4}


def commands(page: str) -> Iterator[str]:
    """Yield the commands of a page's consoles, without comments."""
    for block in re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                yield re.sub(r"\s+# .*", "", line.removeprefix("$ "))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the home of somebody with pictures, some on a server, and pregen on the PATH."""
    home = tmp_path / "ann"
    few(home / "Pictures", 3)
    put(home / "Pictures" / "cat.jpg", jpeg())
    put(home / "Pictures" / "broken.jpg", jpeg(900, 700)[:3000])
    for folder in FOLDERS:
        few(tmp_path / folder.removeprefix("/"), 2)
    few(tmp_path / "mnt/nas/photos", 1)
    program = tmp_path / "bin" / "pregen"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pregen "$@"\n')
    program.chmod(0o755)
    (home / "scripts").mkdir()
    (home / "scripts" / "pregen").symlink_to(program)
    return home


def run(command: str, home: Path) -> tuple[int, str]:
    for folder in FOLDERS:
        command = command.replace(folder, str(home.parent / folder.removeprefix("/")))
    env = {
        **{name: text for name, text in os.environ.items() if not name.startswith("XDG_")},
        "HOME": str(home),
        "PATH": f"{home.parent / 'bin'}:{os.environ['PATH']}",
    }
    asks = command == "pregen clean"
    with subprocess.Popen(
        # What asks a question wants a terminal.
        ["script", "-qec", command, "/dev/null"] if asks else ["bash", "-c", command],
        cwd=home,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        if " watch " in command:
            assert process.stdout
            said = ""
            while "Watching for changes" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate("n\n", timeout=120)
        return process.returncode, out


@needs(Capability.SCRIPT)
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, home: Path) -> None:
    ran = 0
    for command in commands(page):
        if command.startswith(tuple(NOT_RUN)):
            continue
        code, out = run(command, home)
        assert code in ENDINGS or (" watch " in command and code in {0, 130}), (command, code, out)
        assert "Traceback" not in out, (command, out)
        ran += 1
    assert ran


def test_every_exception_is_of_use() -> None:
    every = [command for page in PAGES for command in commands(page)]
    for start in NOT_RUN:
        if start != "gsettings":  # printed by a command, not typed
            assert [command for command in every if command.startswith(start)], start


class Links(HTMLParser):
    """The places that a page has, and those that it leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif value and ((tag == "a" and name == "href") or name == "src"):
                self.targets.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("sphinx") is None:
        pytest.skip("needs sphinx, furo and myst-parser (scripts/test installs them)")
    # A copy: what is built is remembered beside the sources otherwise.
    place = tmp_path_factory.mktemp("manual")
    shutil.copytree(DOCS, place / "docs")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    done = subprocess.run(
        [*command, place / "docs", place / "site"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return place / "site"


@pytest.mark.timeout(300)
def test_every_link_of_the_site_leads_somewhere_and_nothing_is_fetched(site: Path) -> None:
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) > 100
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme in {"data", "mailto"}:
                continue
            if parts.scheme:
                assert parts.scheme == "https", (path, target)
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert to.exists(), (path, target)
            if parts.fragment and to in pages:
                assert unquote(parts.fragment) in pages[to].anchors, (path, target)


def test_links_between_the_sources_lead_somewhere() -> None:
    """As code hosts show them."""
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not target.startswith("http"):
                place, _, anchor = target.partition("#")
                to = (page.parent / place) if place else page
                assert to.exists(), (page, target)
                if anchor and to.suffix == ".md":
                    heads = re.findall(r"^#+ (.*)", to.read_text(), re.MULTILINE)
                    slugs = {
                        re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-")
                        for head in heads
                    }
                    assert anchor in slugs, (page, target)


@needs(Capability.CHROMIUM)
def test_the_site_is_shown_without_a_network(site: Path) -> None:
    from tests.support.judges import browser  # noqa: PLC0415 - only where one is installed

    shown = browser.visit(site / "index.html", 1280, "light", 900)
    assert {urlsplit(url).scheme for url in shown.requested} <= {"file", "data"}
    assert shown.screenshot.startswith(b"\x89PNG")
