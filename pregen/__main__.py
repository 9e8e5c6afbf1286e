"""`python -m pregen`."""

from pregen.cli import main

main()
