"""Programs for those who change pregen; the shell scripts in scripts/ start them."""
