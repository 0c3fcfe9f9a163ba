"""Agreement with other implementations, on their own cases."""
