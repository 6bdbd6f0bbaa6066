"""Fetch bytes from systems that hold spans and profiles. Knows payloads, ports and errors, never tables."""
