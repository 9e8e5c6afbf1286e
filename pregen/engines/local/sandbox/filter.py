"""Assembles rules about system calls into a program for the kernel (classic BPF). Pure.

A program gets the call's number, the machine's kind and the arguments, and returns what is to
happen (kernel documentation, seccomp_filter). The kernel runs it once for each call whose answer
does not depend on arguments and remembers those that are allowed (Linux 5.11), so its length
costs nothing where it matters.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING, Final

from pregen.engines.local.sandbox.numbers import MACHINES, NEWEST, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pregen.engines.local.sandbox.rules import Rule

# <linux/bpf_common.h>: load a word, jump, return.
_LD_ABS, _JEQ, _JGT, _JSET, _RET = 0x20, 0x15, 0x25, 0x45, 0x06
# struct seccomp_data
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
# <linux/seccomp.h>
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

_INSTRUCTION: Final = Struct("HBBI")
INSTRUCTION_BYTES: Final = _INSTRUCTION.size


def assemble(rules: Iterable[Rule], machine: str) -> bytes:
    """Return the program that enforces `rules` on `machine` (as uname has it).

    Raises:
        KeyError: its numbers are not known here.
    """
    arch, column = MACHINES[machine]
    # Another machine's calls (32-bit ones, on x86) have other numbers: nothing here makes any.
    program = [
        _do(_LD_ABS, _ARCH_AT),
        _do(_JEQ, arch, 1, 0),
        _do(_RET, _KILL_PROCESS),
        _do(_LD_ABS, _NUMBER_AT),
        _do(_JGT, NEWEST, 0, 1),
        _do(_RET, _ERRNO | errno.ENOSYS),
    ]
    for rule in rules:
        number = NUMBERS[rule.call][column]
        if number is not None:
            body = _body(rule)
            program += [_do(_JEQ, number, 0, len(body)), *body]
    program.append(_do(_RET, _ALLOW))
    return b"".join(program)


def _body(rule: Rule) -> list[bytes]:
    """What is done once the call is known to be that of `rule`; it always ends in a return.

    Only the lower half of an argument is looked at: all of these are ints to the kernel.
    """
    refuse = _do(_RET, _ERRNO | rule.errno)
    allow = _do(_RET, _ALLOW)
    load = _do(_LD_ABS, _ARGUMENTS_AT + 8 * rule.argument)
    if rule.bits:
        return [load, _do(_JSET, rule.bits, 1, 0), refuse, allow]
    if rule.only is not None:
        return [load, *_matched(rule.only), refuse, allow]
    if rule.but:
        return [load, *_matched(rule.but), allow, refuse]
    return [refuse]


def _matched(values: tuple[int, ...]) -> list[bytes]:
    """Go on with the next instruction but one where one of `values` matches, else the next."""
    last = len(values) - 1
    return [_do(_JEQ, value, last - place + 1, 0) for place, value in enumerate(values)]


def _do(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, operand)
