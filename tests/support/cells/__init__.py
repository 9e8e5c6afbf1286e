"""Every kind of picture: a table of pairs, one cell for each, and the holes in it with a reason.

A cell names what is stored, who writes it, and which foreign decoders are to agree that the file
shows what it must. What pregen makes of it today is the tests' matter (tests/pictures).
"""
