"""How jobs are spread over processes; see `base` for the contract."""
