"""What files lie on: which file system, how well protected, and whether it holds files at all.

Decisions are pure (`mounttable`, `protection`); `blockdevices` and `fscrypt` ask the kernel,
`guard` puts both together.
"""
