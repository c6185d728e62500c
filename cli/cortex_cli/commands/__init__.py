"""One module for each command; each has a click command (or group) named ``command``."""
