"""`pregen share PATH...`: thumbnails beside the originals, for all who mount or are given them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pregen.argument_types import raw_bytes
from pregen.commandline import Option
from pregen.config import Check
from pregen.errors import UsageError
from pregen.options import option, options
from pregen.session import ConfiguredCommand, Session
from pregen.verbs.run import run_session

if TYPE_CHECKING:
    from pregen.config import RunConfig
    from pregen.errors import ExitCode


@click.pass_obj
def _share(
    session: Session, /, *, paths: tuple[bytes, ...], recursive: bool, update: bool, **values: Any
) -> ExitCode:
    """Store thumbnails beside the pictures, in a folder .sh_thumbnails in each folder of PATHs.

    For media and shares that others mount: the thumbnails travel with the pictures. They get the
    owner, group and mode of the pictures. Symbolic links are skipped: their targets lie in
    other folders. Existing thumbnails stay, even outdated ones, unless --update is given. Xfce's
    programs read them (Thunar, tumbler); GNOME, KDE and LXQt do not: for them use `pregen run`.

    Example: pregen share /srv/photos
    """

    def configure() -> RunConfig:
        config = session.run_config({**values, "missing_only": not update}, paths)
        return config._replace(
            walk=config.walk._replace(recursive=recursive, links=False),
            plan=config.plan._replace(check=Check.FULL),
            work=config.work._replace(shared=True),
        )

    if values["engine_name"] == "dask":
        raise UsageError("pregen share works on one machine only: use --engine local.")
    return run_session(session, values, configure)


share = ConfiguredCommand(
    "share",
    callback=_share,
    params=[
        click.Argument(["paths"], metavar="PATH...", type=raw_bytes, nargs=-1, required=True),
        Option(
            ["--recursive/--no-recursive"],
            default=True,
            heading="Which files",
            help="Also in subfolders (default), or only in PATHs themselves.",
        ),
        *options("include", "exclude", "hidden", "one-file-system", "order"),
        Option(
            ["--update"],
            is_flag=True,
            heading="Which thumbnails",
            help="Also recreate outdated and damaged shared thumbnails.",
        ),
        # Not this machine's screens count, but those of all who mount the pictures.
        option("flavors", default="normal,large"),
        option("retry-failed"),
        *options("workers", "decoder", "drop-cache", "timeout", "read-timeout", "max-pixels"),
        option("engine", debug=True),
        *options("sandbox", "dry-run", "json", "quiet", "verbose"),
    ],
    help=_share.__doc__,
)
