"""Delta lake and SQL state behind the ports. The only place that touches disks and databases."""
