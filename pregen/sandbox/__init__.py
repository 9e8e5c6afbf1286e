"""What a worker gives up once it has started: the walls between a decoder and everything else.

    walls       asks the kernel which walls it has; puts them up
    landlock    files: which may be read, which written
    seccomp     system calls: none for sockets, programs, other processes, foreign rights
    filter      the same as a program for the kernel, pure; `numbers` and `rules` are what it is of
    places      what libraries load late
    limits      resources, and root's privileges
    system      the few system calls that Python has no function for

No library does this: see "The sandbox" in ARCHITECTURE.md.
"""
