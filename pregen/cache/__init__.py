"""System calls on the cache: atomic commits, modes, sweeping, the lock."""
