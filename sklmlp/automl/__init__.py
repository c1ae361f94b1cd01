"""A table in, an ensemble of tuned networks out, within a budget."""
