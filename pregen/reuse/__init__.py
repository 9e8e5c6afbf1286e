"""Pictures that need not be made again: sources unchanged, moved, renamed or copied."""
