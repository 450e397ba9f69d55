"""The command line: `bigcell VERB`, a small file for every verb."""


def main() -> None:
    """The entry point. What it needs is imported when it is called, so that importing bigcell.cli costs nothing."""
    from bigcell.cli.ending import ENDING

    ENDING.arm()  # before the imports, which take seconds
    from bigcell.cli.app import app

    app()
