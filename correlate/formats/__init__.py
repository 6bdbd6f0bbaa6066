"""Bytes to tables and back: pure, columnar, no I/O and no clock."""
