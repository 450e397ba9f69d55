"""The command line: `bigcell VERB`, a small file for every verb."""


def main() -> None:
    """The entry point. What it needs is imported when it is called, so that importing bigcell.cli costs nothing."""
    from bigcell.cli.app import app

    app()
