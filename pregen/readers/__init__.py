"""Sources on shares are read ahead of their decoders, by threads that may wait.

    pace           how many read at a time, how fast: decided from what came of it (pure)
    threads        calls to shares, none waited for longer than a share may be silent
    ahead          the sources of coming jobs, in their order and within bounds
    share_source   an open source of which some is in memory

    turns          one worker at a time reads from a disk that spins

On other disks of this machine none of it is used.
"""
