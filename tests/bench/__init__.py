"""What `make bench` measures: the budgets of docs/budgets.md, on data it generates."""
