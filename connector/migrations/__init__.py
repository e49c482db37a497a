"""The steps that bring a state database up to date, in order."""
