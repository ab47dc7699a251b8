"""One file for each scenario. `run` raises a `Fault`, or returns its figures as text, a line for each."""
