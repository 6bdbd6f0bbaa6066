"""The life of an alert, as a pure state machine."""
