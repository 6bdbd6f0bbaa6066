"""The history of the state database's tables, run by `storage.state` on start."""
