"""Use cases, a few lines each: the order of steps. Ports in, values out; no backend is named here."""
