"""Small frozen values: ids, profile types, queries and answers."""
