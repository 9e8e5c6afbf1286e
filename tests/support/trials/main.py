"""Long trials for `scripts/soak`: very many sources, kills, damaged journals and JPEGs."""

from __future__ import annotations

import argparse
import sys

from tests.support.trials import damaged_journal, fuzz_decoder, kill_storm, long_run


def main() -> int:
    """Run the trial that is named on the command line; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--folder", help="where scratch files go (default: the system's)")
    trials = parser.add_subparsers(dest="trial", required=True)
    long = trials.add_parser("long", help=long_run.__doc__)
    long.add_argument("--count", type=int, default=200_000, help="sources (default 200,000)")
    kills = trials.add_parser("kills", help=kill_storm.__doc__)
    kills.add_argument("--count", type=int, default=1000, help="kills (default 1,000)")
    kills.add_argument("--seed", type=int, default=1, help="of the moments (default 1)")
    journal = trials.add_parser("journal", help=damaged_journal.__doc__)
    journal.add_argument("--count", type=int, default=1000, help="journals (default 1,000)")
    journal.add_argument("--seed", type=int, default=1, help="of the first (default 1)")
    fuzz = trials.add_parser("fuzz", help="libFuzzer at our C code, beside its plain twin")
    fuzz.add_argument("--target", choices=fuzz_decoder.TARGETS, default=fuzz_decoder.TARGETS[0])
    fuzz.add_argument("--count", type=int, default=1_000_000, help="inputs (default 1,000,000)")
    fuzz.add_argument("--seconds", type=int, default=0, help="end after so long (default: never)")
    fuzz.add_argument("--seed", type=int, default=1, help="of the damage (default 1)")
    arguments = parser.parse_args()
    if arguments.trial == "fuzz":
        return fuzz_decoder.main(
            arguments.count, arguments.seconds, arguments.seed, arguments.target
        )
    if arguments.trial == "long":
        return long_run.main(arguments.count, arguments.folder, ())
    if arguments.trial == "journal":
        return damaged_journal.main(arguments.count, arguments.seed, arguments.folder)
    return kill_storm.main(arguments.count, arguments.seed, arguments.folder)


if __name__ == "__main__":
    sys.exit(main())
