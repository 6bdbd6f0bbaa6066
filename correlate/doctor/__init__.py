"""What can be wrong with a correlation, as checks over figures.

Every check is a pure function from figures to complaints, with its thresholds named beside it. `measure` makes figures
out of columns; who gathers the columns is a use case (``services.doctor``). `examine` runs all checks.
"""
