"""One module per verb, thin, and what they share. Each is imported when its verb is called."""
