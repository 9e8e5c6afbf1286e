"""argv -> command -> exit code. The one place where errors become exit codes.

It imports no command before it is called and no picture library at all: `pregen --version` and
the children of the local engine, which import this module by its name, must not pay for them.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from pregen import __version__
from pregen.commandline import LOST, LazyGroup, Option, Verb, in_plain_words, terminal_columns
from pregen.display.printer import silence
from pregen.display.text import folded, printable
from pregen.errors import (
    TOO_MANY_OPEN,
    ExitCode,
    PregenError,
    ResultsLostError,
    TooManyOpenError,
    exit_codes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

#: In order of use. The summaries stand here so that the help imports no verb.
_VERBS = {
    "run": Verb("pregen.verbs.run:run", "Fill", "Create thumbnails for folders and files."),
    "watch": Verb(
        "pregen.verbs.watch.command:watch", "Fill", "Keep the thumbnails of folders up to date."
    ),
    "share": Verb("pregen.verbs.share:share", "Fill", "Store thumbnails beside the pictures."),
    "import": Verb(
        "pregen.verbs.transfer.command:import_", "Fill", "Merge thumbnails from another cache."
    ),
    "export": Verb(
        "pregen.verbs.transfer.command:export", "Fill", "Copy thumbnails to a file or a folder."
    ),
    "status": Verb(
        "pregen.verbs.status:status", "Look", "Show what the cache holds, and the last runs."
    ),
    "show": Verb("pregen.verbs.show:show", "Look", "Show what the cache holds for a file."),
    "path": Verb(
        "pregen.verbs.path:path", "Look", "Print where a thumbnail is; create it if needed."
    ),
    "failures": Verb(
        "pregen.verbs.failures.command:failures", "Look", "List the files that failed, and why."
    ),
    "report": Verb("pregen.verbs.report.command:report", "Look", "Write a web page about a run."),
    "doctor": Verb(
        "pregen.verbs.doctor.command:doctor", "Look", "Find out why thumbnails are not shown."
    ),
    "formats": Verb("pregen.verbs.formats:formats", "Look", "List the formats that can be read."),
    "verify": Verb(
        "pregen.verbs.verify.command:verify", "Keep", "Check every thumbnail, and repair bad ones."
    ),
    "clean": Verb(
        "pregen.verbs.clean.command:clean", "Keep", "Delete thumbnails that are no longer needed."
    ),
    "bench": Verb(
        "pregen.verbs.bench.command:bench", "Measure", "Measure the speed on your own pictures."
    ),
    "desktop": Verb(
        "pregen.verbs.desktop.command:desktop",
        "Set up",
        "Add pregen to file managers, and install its man page.",
    ),
    "completion": Verb(
        "pregen.verbs.completion:completion", "Set up", "Print the completion script of a shell."
    ),
}


def _options() -> list[Option]:
    from pregen.options import option  # noqa: PLC0415 - --version does without

    said = "Use DIR as the thumbnails folder, in any verb."
    return [option("cache", heading="", help=said)]


@click.group(
    cls=LazyGroup,
    verbs=_VERBS,
    own=_options,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes(),
)
@click.version_option(__version__, prog_name="pregen", message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context, cache_root: bytes | None = None) -> None:
    """Fill the thumbnail cache of the desktop for whole photo libraries, in parallel.

    Start with: pregen run ~/Pictures
    """
    from pregen.session import this_session  # noqa: PLC0415 - --version does without

    ctx.obj = this_session(cache_root)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), color=ctx.color)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code. What is not expected keeps its traceback."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # a name the locale cannot write is shown escaped, not as a traceback
                stream.reconfigure(errors="backslashreplace")
        code = _invoke(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (KeyboardInterrupt, click.Abort) as ending:
        if isinstance(ending, click.Abort) and sys.stderr.isatty():
            # At a question: the terminal shows ^C behind it.
            print("\nStopped; nothing was changed.", file=sys.stderr)  # noqa: T201 - the program's voice
        return ExitCode.INTERRUPTED
    except (click.UsageError, PregenError, OSError) as error:
        return _ending(error)
    return code if isinstance(code, int) else ExitCode.DONE


def _ending(error: click.UsageError | PregenError | OSError) -> ExitCode:
    """Say what went wrong; return the exit code. An OSError of anything but output goes on."""
    if isinstance(error, click.UsageError):
        _tell(in_plain_words(error, program, "pregen"))
        return ExitCode.USAGE
    if isinstance(error, PregenError):
        if isinstance(error, ResultsLostError):
            silence(sys.stdout)
        _tell(str(error))
        return error.exit_code
    if not isinstance(error, BrokenPipeError):
        if not _takes_no_more(sys.stdout):
            raise error
        _tell(LOST.format(error.strerror))
    silence(sys.stdout)
    return ExitCode.READER_GONE


def _takes_no_more(stream: TextIO) -> bool:
    """Tell whether it was this stream that could not be written."""
    try:
        stream.flush()
        os.write(stream.fileno(), b"\n")  # it may keep nothing that was not written
    except OSError:
        return True
    return False


def _invoke(arguments: list[str]) -> object:
    """Parse and call, as `click.Command.main` does, which would make EPIPE an exit code of 1."""
    if "_PREGEN_COMPLETE" in os.environ:  # the shell asks for completions
        program.main(arguments, prog_name="pregen")
    try:
        with program.make_context("pregen", arguments) as ctx:
            return program.invoke(ctx)
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise TooManyOpenError from error
        raise


def _tell(message: str) -> None:
    """Tell people; a message may quote names, which must not drive a terminal."""
    lines = [printable(line) for line in f"pregen: {message}".split("\n")]
    width = terminal_columns(sys.stderr)
    try:
        for line in lines:
            for part in folded(line, width) if width else [line]:
                print(part, file=sys.stderr)  # noqa: T201 - this is the program's voice
    except OSError:
        return  # its reader is gone; the exit code says so, too


def main() -> NoReturn:
    """Entry point of `pregen` and `python -m pregen`."""
    code = run()
    server = sys.modules.get("pregen.engines.local.server")
    if server is not None:
        server.end()
    gc.freeze()  # Python would look through all there is, only to end
    sys.exit(code)
