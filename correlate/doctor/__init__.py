"""What can be wrong with a correlation, as checks over figures."""
