"""`pregen report`: one page about one run, to be looked at the morning after."""
