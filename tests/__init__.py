"""The suite. Shared helpers live in `tests.support`; every other folder is one area of pregen."""
