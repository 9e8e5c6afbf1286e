"""Judges from outside: desktops, browsers, terminals, readers that share no code with pregen."""
