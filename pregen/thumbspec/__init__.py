"""The thumbnail standard as pure functions: names, text chunks, validity."""
