"""Long trials, too long for the suite: damaged files, kill storms, a million sources, fuzzing."""
