"""`pregen desktop`: actions in file managers, man page, completion, icon and units of systemd."""
