"""The decision, from verdicts to steps: a table of cases, and rules that hold for all of them."""

from __future__ import annotations

import re
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import PlanConfig
from pregen.model import ALL_FLAVORS, Action, Flavor, Kind, Skip, Source, Step
from pregen.plan import Entries, decide
from pregen.thumbspec.validity import Freshness

SOURCE = Source(b"/photos/a;b.jpg", 1234, 10**18)
GLIB, QT = "file:///photos/a%3Bb.jpg", "file:///photos/a;b.jpg"
NORMAL, LARGE, X_LARGE, XX_LARGE = ALL_FLAVORS
#: f: fresh, o: fresh but outdated, r: refit, s: stale, c: corrupt, -: missing.
LETTERS = {
    "f": Freshness.FRESH,
    "o": Freshness.OUTDATED,
    "r": Freshness.REFIT,
    "s": Freshness.STALE,
    "c": Freshness.CORRUPT,
    "-": Freshness.MISSING,
}
MAKE, REFIT, DELETE, RECHECK = Action.MAKE, Action.REFIT, Action.DELETE, Action.RECHECK


def entries(verdicts: str, uri: str = GLIB) -> Entries:
    """Return what the cache holds, from one letter a flavor, small to large."""
    return Entries(uri, [LETTERS[letter] for letter in verdicts])


class Case(NamedTuple):
    """Two flavors are wanted: normal and large. `expected` is a kind, or steps by flavor."""

    what: str
    verdicts: str
    expected: Kind | list[tuple[Action, Flavor]]
    config: PlanConfig = PlanConfig()
    failed: bool = False
    hint: Kind | None = None


FORCE = PlanConfig(force=True)
MISSING_ONLY = PlanConfig(missing_only=True)
NO_REFIT = PlanConfig(refit=False)
ONLY_NORMAL = PlanConfig(flavors=(NORMAL,))
RETRY = PlanConfig(retry_failed=True)
BOTH = [(MAKE, NORMAL), (MAKE, LARGE)]

CASES = [
    # What is wanted.
    Case("all fresh", "ff--", Kind.FRESH),
    Case("nothing there", "----", BOTH),
    Case("one missing", "f---", [(MAKE, LARGE)]),
    Case("stale", "ss--", BOTH),
    Case("corrupt", "fc--", [(MAKE, LARGE)]),
    Case("outdated", "oo--", [(RECHECK, NORMAL), (RECHECK, LARGE)]),
    Case("outdated, one missing", "-o--", [(RECHECK, LARGE), (MAKE, NORMAL)]),
    Case("outdated, not wanted", "ffo-", [(RECHECK, X_LARGE)]),
    Case("outdated, missing only", "oo--", Kind.FRESH, MISSING_ONLY),
    Case("outdated, forced", "oo--", BOTH, FORCE),
    Case("outdated, crashed since", "oo--", Kind.FAILED_BEFORE, hint=Kind.CRASHED),
    Case("refit", "rr--", [(REFIT, NORMAL), (REFIT, LARGE)]),
    Case("refit one and make the other", "-r--", [(REFIT, LARGE), (MAKE, NORMAL)]),
    Case("all four wanted", "fs-r", [(REFIT, XX_LARGE), (MAKE, LARGE), (MAKE, X_LARGE)],
         PlanConfig(flavors=ALL_FLAVORS)),
    Case("only x-large wanted", "----", [(MAKE, X_LARGE)], PlanConfig(flavors=(X_LARGE,))),
    # What is not: GLib shows the largest file, valid or not.
    Case("a fresh one of another flavor", "fff-", Kind.FRESH),
    Case("a stale one of another flavor", "ffs-", [(DELETE, X_LARGE)]),
    Case("corrupt ones of other flavors", "ffcc", [(DELETE, X_LARGE), (DELETE, XX_LARGE)]),
    Case("one of another flavor to refit", "ff-r", [(REFIT, XX_LARGE)]),
    Case("a stale smaller one", "s--f", [(DELETE, NORMAL)], PlanConfig(flavors=(XX_LARGE,))),
    Case("everything changed", "sss-", [(DELETE, X_LARGE), *BOTH]),
    # --no-refit
    Case("no refit", "rr--", Kind.FRESH, NO_REFIT),
    Case("no refit of another flavor", "ffr-", Kind.FRESH, NO_REFIT),
    Case("no refit, but something missing", "r---", [(MAKE, LARGE)], NO_REFIT),
    Case("no refit, but something stale", "r-s-", [(DELETE, X_LARGE), (MAKE, LARGE)], NO_REFIT),
    # --missing-only
    Case("missing only, nothing there", "----", BOTH, MISSING_ONLY),
    Case("missing only, a stale one", "sf--", Kind.EXCLUDED, MISSING_ONLY),
    Case("missing only, a corrupt one", "fc--", Kind.EXCLUDED, MISSING_ONLY),
    Case("missing only, a stale and a missing one", "s---", [(MAKE, LARGE)], MISSING_ONLY),
    Case("missing only, a stale one of another flavor", "ffs-", Kind.EXCLUDED, MISSING_ONLY),
    Case("missing only, one to refit", "rf--", Kind.FRESH, MISSING_ONLY),
    Case("missing only, all fresh", "ff--", Kind.FRESH, MISSING_ONLY),
    # --force
    Case("forced, all fresh", "ff--", BOTH, FORCE),
    Case("forced, other flavors", "fffs", [(DELETE, XX_LARGE), *BOTH], FORCE),
    Case("forced, one to refit", "rf--", BOTH, FORCE),
    Case("forced, another flavor to refit", "ffr-", [(REFIT, X_LARGE), *BOTH], FORCE),
    Case("forced, failed before", "----", BOTH, FORCE, failed=True),
    Case("forced, small", "----", BOTH, FORCE, hint=Kind.SMALL),
    Case("forced, crashed", "----", BOTH, FORCE, hint=Kind.CRASHED),
    Case("forced, missing only", "sfs-", [(DELETE, X_LARGE), *BOTH],
         PlanConfig(force=True, missing_only=True)),
    # Failures.
    Case("failed before", "----", Kind.FAILED_BEFORE, failed=True),
    Case("failed before, half there", "f---", Kind.FAILED_BEFORE, failed=True),
    Case("failed before, all made by others", "ff--", Kind.FRESH, failed=True),
    Case("failed before, one to refit", "r---", [(REFIT, NORMAL)], failed=True),
    Case("failed before, a stale one of another flavor", "--s-", [(DELETE, X_LARGE)], failed=True),
    Case("failed before, a stale one", "sf--", Kind.FAILED_BEFORE, failed=True),
    Case("failed before, retried", "----", BOTH, RETRY, failed=True),
    # What the journal remembers.
    Case("small", "----", Kind.SMALL, hint=Kind.SMALL),
    Case("small, all made by others", "ff--", Kind.FRESH, hint=Kind.SMALL),
    Case("small, a stale one of another flavor", "--s-", [(DELETE, X_LARGE)], hint=Kind.SMALL),
    Case("small, retried", "----", Kind.SMALL, RETRY, hint=Kind.SMALL),
    Case("not a picture", "----", Kind.NOT_PICTURE, hint=Kind.NOT_PICTURE),
    Case("not a picture, retried", "----", Kind.NOT_PICTURE, RETRY, hint=Kind.NOT_PICTURE),
    Case("crashed", "----", Kind.FAILED_BEFORE, hint=Kind.CRASHED),
    Case("crashed, retried", "----", BOTH, RETRY, hint=Kind.CRASHED),
    Case("timed out", "----", Kind.FAILED_BEFORE, hint=Kind.TIMED_OUT),
    Case("timed out, retried", "----", BOTH, RETRY, hint=Kind.TIMED_OUT),
    Case("a kind that is not remembered", "----", BOTH, hint=Kind.UNREADABLE),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_a_source_gets_what_its_entries_ask_for(case: Case) -> None:
    found = decide(
        SOURCE, [entries(case.verdicts)], case.config, failed=case.failed, hint=case.hint
    )
    if isinstance(case.expected, Kind):
        assert isinstance(found, Skip)
        assert (found.path, found.kind) == (SOURCE.path, case.expected)
    else:
        assert found == tuple(Step(action, flavor, GLIB) for action, flavor in case.expected)


@pytest.mark.parametrize(
    ("hint", "failed", "says"),
    [
        (None, True, "failed earlier, and the file has not changed since$"),
        (Kind.CRASHED, False, "crashed a worker earlier and has not changed since$"),
        (Kind.TIMED_OUT, False, "exceeded the time limit earlier and has not changed since$"),
    ],
)
def test_a_source_that_failed_says_why_it_is_not_tried_again(
    hint: Kind | None, says: str, *, failed: bool
) -> None:
    found = decide(SOURCE, [entries("----")], PlanConfig(), failed=failed, hint=hint)
    assert isinstance(found, Skip)
    assert re.search(says, found.message)


def test_a_stale_entry_left_alone_says_by_which_rule() -> None:
    found = decide(SOURCE, [entries("ss--")], MISSING_ONLY)
    assert isinstance(found, Skip)
    assert "--missing-only" in found.message


def test_every_key_of_a_source_is_decided_for_itself() -> None:
    found = decide(SOURCE, [entries("ffs-"), entries("r-f-", QT)], PlanConfig())
    assert found == (
        Step(DELETE, X_LARGE, GLIB),
        Step(REFIT, NORMAL, QT),
        Step(Action.COPY, LARGE, QT),
    )


def test_a_picture_that_is_there_under_another_key_is_copied_unless_that_is_not_wanted() -> None:
    copied, made = (
        (Step(action, NORMAL, QT), Step(Action.MAKE, LARGE, GLIB), Step(Action.MAKE, LARGE, QT))
        for action in (Action.COPY, Action.MAKE)
    )
    held = [entries("fs--"), entries("-c--", QT)]
    assert decide(SOURCE, held, PlanConfig()) == copied
    assert set(decide(SOURCE, held, PlanConfig(reuse=False))) == set(made)
    for lost in ("s", "c", "-"):
        found = decide(SOURCE, [entries("f---"), entries(f"{lost}---", QT)], ONLY_NORMAL)
        assert found == (Step(Action.COPY, NORMAL, QT),)
    # What made it was mended since: nobody knows yet whether it is right.
    found = decide(SOURCE, [entries("o---"), entries("----", QT)], ONLY_NORMAL)
    assert found == (Step(RECHECK, NORMAL, GLIB), Step(MAKE, NORMAL, QT))


# Rules.

VERDICTS = st.sampled_from(list(LETTERS.values()))
HELD = st.builds(
    lambda *rows: [Entries(uri, row) for uri, row in zip((GLIB, QT), rows, strict=False)],
    st.tuples(*[VERDICTS] * 4),
    st.tuples(*[VERDICTS] * 4),
) | st.tuples(*[VERDICTS] * 4).map(lambda row: [Entries(GLIB, row)])
CONFIGS = st.builds(
    PlanConfig,
    flavors=st.sets(st.sampled_from(ALL_FLAVORS), min_size=1).map(
        lambda f: tuple(sorted(f, key=ALL_FLAVORS.index))
    ),
    force=st.booleans(),
    missing_only=st.booleans(),
    retry_failed=st.booleans(),
    refit=st.booleans(),
)
HINTS = st.none() | st.sampled_from(Kind)


def verdict_of(held: list[Entries], step: Step) -> Freshness:
    (row,) = (row for row in held if row.uri == step.uri)
    return row.verdicts[ALL_FLAVORS.index(step.flavor)]


@given(held=HELD, config=CONFIGS, failed=st.booleans(), hint=HINTS)
def test_no_decision_breaks_a_rule(
    held: list[Entries],
    config: PlanConfig,
    *,
    failed: bool,
    hint: Kind | None,
) -> None:
    found = decide(SOURCE, held, config, failed=failed, hint=hint)
    if isinstance(found, Skip):
        assert found.path == SOURCE.path
        return
    assert found, "no steps are a Skip"
    assert len({(step.flavor, step.uri) for step in found}) == len(found), "one step an entry"
    for step in found:
        verdict, wanted = verdict_of(held, step), step.flavor in config.flavors
        bad = verdict in {Freshness.STALE, Freshness.CORRUPT}
        match step.action:
            case Action.MAKE:
                assert wanted
                assert verdict is not Freshness.FRESH or config.force
            case Action.REFIT:
                assert verdict is Freshness.REFIT
                assert config.refit
            case Action.RECHECK:
                assert verdict is Freshness.OUTDATED
                assert not config.missing_only or config.force
            case Action.DELETE:
                assert not wanted
                assert bad
            case Action.COPY:
                assert wanted
                assert verdict is Freshness.MISSING or bad
                assert not config.force
                assert {verdict_of(held, step._replace(uri=uri)) for uri, _ in held} & {
                    Freshness.FRESH,
                    Freshness.REFIT,
                }
    made = [index for index, step in enumerate(found) if step.action in {MAKE, RECHECK}]
    assert made == list(range(len(found) - len(made), len(found))), "decoding comes last"


@given(HELD, CONFIGS)
def test_what_is_wanted_and_not_fresh_gets_exactly_one_step_under_each_key(
    held: list[Entries], config: PlanConfig
) -> None:
    found = decide(SOURCE, held, config)
    steps = {} if isinstance(found, Skip) else {(s.uri, s.flavor): s.action for s in found}
    for row, (index, flavor) in product(held, enumerate(ALL_FLAVORS)):
        verdict, action = row.verdicts[index], steps.get((row.uri, flavor))
        if flavor not in config.flavors:
            continue
        good = {Freshness.FRESH, Freshness.REFIT} & {each.verdicts[index] for each in held}
        create = Action.COPY if good and config.reuse else Action.MAKE
        if config.force:
            assert action is Action.MAKE
        elif verdict is Freshness.FRESH:
            assert action is None
        elif verdict is Freshness.MISSING:
            assert action is create
        elif config.missing_only:
            assert action is None
        elif verdict is Freshness.OUTDATED:
            assert action is Action.RECHECK
        elif verdict is Freshness.REFIT:
            assert action is (Action.REFIT if config.refit else None)
        else:
            assert action is create


@given(held=HELD, failed=st.booleans(), hint=HINTS)
def test_nothing_bad_survives_an_ordinary_plan_unless_decoding_is_barred(
    held: list[Entries],
    *,
    failed: bool,
    hint: Kind | None,
) -> None:
    """Or GLib would show it: it takes the largest file, valid or not."""
    config = PlanConfig()
    found = decide(SOURCE, held, config, failed=failed, hint=hint)
    steps = set() if isinstance(found, Skip) else {(s.uri, s.flavor) for s in found}
    barred = failed or hint in {Kind.SMALL, Kind.NOT_PICTURE, Kind.CRASHED, Kind.TIMED_OUT}
    for row, (index, flavor) in product(held, enumerate(ALL_FLAVORS)):
        if row.verdicts[index] in {Freshness.STALE, Freshness.CORRUPT}:
            assert (row.uri, flavor) in steps or (barred and flavor in config.flavors)


@given(HELD, CONFIGS)
def test_carrying_out_a_plan_leaves_nothing_to_do(held: list[Entries], config: PlanConfig) -> None:
    found = decide(SOURCE, held, config)
    if isinstance(found, Skip):
        return
    done = {(step.uri, step.flavor): step.action for step in found}
    after = [
        Entries(
            row.uri,
            [
                {
                    Action.MAKE: Freshness.FRESH,
                    Action.COPY: Freshness.FRESH,
                    Action.REFIT: Freshness.FRESH,
                    Action.RECHECK: Freshness.FRESH,
                    Action.DELETE: Freshness.MISSING,
                    None: verdict,
                }[done.get((row.uri, flavor))]
                for flavor, verdict in zip(ALL_FLAVORS, row.verdicts, strict=True)
            ],
        )
        for row in held
    ]
    again = decide(SOURCE, after, config)
    if config.force:
        assert not isinstance(again, Skip)
        assert {step.action for step in again} == {Action.MAKE}
    else:
        assert isinstance(again, Skip)
        assert again.kind in {Kind.FRESH, Kind.EXCLUDED}
