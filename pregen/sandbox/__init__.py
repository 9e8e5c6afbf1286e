"""What a worker gives up once it has started: all that lies between a decoder and everything else.

    confinement asks what this kernel can do; confines the process that asks for it
    landlock    files: which may be read, which written
    seccomp     system calls: none for sockets, programs, other processes, foreign rights
    rlimits     resources, and root's privileges
    syscalls    the system calls that Python has no function for, and the numbers of all

It knows no engine and nothing of pictures. No library does this: see "The sandbox" in
ARCHITECTURE.md.
"""
