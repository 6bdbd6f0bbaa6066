"""The columns everything travels in: schemas, stable ids, symbol tables."""
