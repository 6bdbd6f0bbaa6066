"""The recorded traffic that ships with the package, and its replay."""
