"""When a run pauses, and when it ends politely: for long runs on machines that have other work."""
