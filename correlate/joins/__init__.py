"""Correlation: which samples belong to which spans, by what evidence. Pure."""
