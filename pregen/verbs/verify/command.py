"""`pregen verify`: finds every entry that is not as it should be. Its options and its session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from pregen.argument_types import WholeNumber, raw_bytes
from pregen.commandline import Command, Option, print_lines, print_record, under
from pregen.errors import ExitCode
from pregen.options import option
from pregen.session import Session, cache_option, mount_timeout_option

if TYPE_CHECKING:
    from pregen.verbs.verify.verification import Verified


@click.pass_obj
def _verify(  # noqa: PLR0913 - an argument for each option
    session: Session,
    /,
    *,
    paths: tuple[bytes, ...],
    deep: bool,
    sample: int | None,
    repair: bool,
    wait: bool,
    mount_timeout: float,
    json: bool,
) -> ExitCode:
    """Check the thumbnails of all programs against the standard and against their files.

    With PATHs: only those of files there. Every thumbnail is read to its last byte by independent
    code: chunks, checksums, picture, texts, name, size, age, modes. Those that other programs
    write differently, but correctly, are accepted. Those whose file is deleted or not available
    are only counted: use `pregen clean` for them.

    With --deep, a thumbnail is `disputed` where two decoders show its file differently and a new
    one would be the same: it is reported, and stays.

    Exit code 0: all thumbnails are good or were repaired. 4: bad or disputed ones were found or
    remain.
    """
    from pregen.cache.opening import OpenPolicy  # noqa: PLC0415 - no --help needs it
    from pregen.cache.store import Cache  # noqa: PLC0415 - likewise
    from pregen.verbs.reviewing import Reviewers  # noqa: PLC0415 - likewise
    from pregen.verbs.verify import report  # noqa: PLC0415 - likewise
    from pregen.verbs.verify.deep import ComparisonStoppedError  # noqa: PLC0415 - likewise
    from pregen.verbs.verify.verification import (  # noqa: PLC0415 - likewise
        Verification,
        Verified,
    )

    def tell(result: Verified, code: ExitCode) -> ExitCode:
        if json:
            for bad in result.bad:
                print_record(report.bad_record(bad))
            print_record(report.summary_record(result, code))
        else:
            for bad in result.bad:
                print_lines(report.bad_lines(result.root, bad))
            print_lines(report.end_lines(result, session.cache_flag, repair=repair))
        return code

    root = session.cache_root
    places = tuple(session.clean(path) for path in paths)
    if not os.path.isdir(root):
        return tell(Verified(root, ()), ExitCode.DONE)
    policy = OpenPolicy.WITHOUT_LINKS if repair else OpenPolicy.AS_FOUND
    with (
        Cache(root, policy=policy) as cache,
        session.examiner(mount_timeout) as examiner,
        Reviewers(os.cpu_count() or 1) as reviewers,
        session.entry_count() as told,
    ):
        verification = Verification(session, places, cache, examiner, reviewers)
        try:
            result = verification.look(told, compares=deep or sample is not None, sample=sample)
        except ComparisonStoppedError as stopped:
            if json:
                print_record(report.summary_record(Verified(root, ()), stopped.code))
            return stopped.code
        told(-1)
        code = ExitCode.BAD_ENTRIES if result.bad else ExitCode.DONE
        if repair and result.bad:
            result, code = verification.repair(result, wait=wait, unseen=json)
        return tell(result, code)


verify = Command(
    "verify",
    callback=_verify,
    params=[
        click.Argument(["paths"], metavar="[PATH]...", type=raw_bytes, nargs=-1),
        *under(
            "What",
            Option(
                ["--deep"],
                is_flag=True,
                help="Also decode every file again, by another decoder where one is "
                "installed, and compare pictures: finds thumbnails that show another file, "
                "are turned, blank or in wrong colours. Takes two to four times as long as "
                "creating all of them.",
            ),
            Option(
                ["--sample"],
                metavar="NUMBER",
                type=WholeNumber(1),
                help="Like --deep, but compare only this many thumbnails, chosen at random.",
            ),
        ),
        *under(
            "How",
            Option(
                ["--repair"],
                is_flag=True,
                help="Remove bad thumbnails and recreate them; correct file modes. A usable "
                "thumbnail stays when its file is not available.",
            ),
            cache_option(),
            option("wait"),
            mount_timeout_option(),
        ),
        option(
            "json",
            help="Write a JSON object per line: every bad thumbnail, and a final summary.",
        ),
    ],
    help=_verify.__doc__,
    epilog="Examples: `pregen verify`; `pregen verify ~/Pictures --sample 500`; "
    "`pregen verify --repair`.",
)
