"""Processes that schedule and run work: they join a connector to a service."""
