"""`pregen watch`: changes in a library, followed as they happen."""
