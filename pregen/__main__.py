"""`python -m pregen`."""

from pregen.entry_point import main

main()
