"""REST endpoints, one file per resource: parse, call a service, render."""
