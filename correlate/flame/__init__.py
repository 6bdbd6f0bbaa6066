"""Table to picture: trees, layouts and plots. Pure; Plotly is imported in `plot` only."""
