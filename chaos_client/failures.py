"""What the embedded service tells its user when it cannot start or go on."""


class ServeError(Exception):
    """One sentence with what to do; the command line prints it and exits with 1."""
