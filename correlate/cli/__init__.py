"""The `correlate` command: prints, exit codes and progress bars around the services."""
