"""Files that other programs want first, asked of the run that holds the cache's lock.

A run listens on a socket that only its user reaches. Another program of that user (a second run,
`pregen watch`, `pregen path`) sends names of files there and is told what became of each: they
overtake what the run has planned. Neither end believes the other more than it must: both ask the
kernel whose process is at the other end, names are checked like any others, and who sends too
much, or nonsense, is hung up on.

Fields end with a NUL byte, which no name holds. The client sends a greeting, the flavors it wants
and then paths; the server sends "ok", or why not, and then an `FileAnswer` for each path.
"""
