"""Sans-IO core: values in, values out. No clock, no socket, no environment, no log."""
