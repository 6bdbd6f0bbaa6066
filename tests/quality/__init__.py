"""How good the answers are, against worlds whose truth is known: `python -m tests.quality`, see docs/quality.md."""
