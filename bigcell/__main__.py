"""`python -m bigcell`: the command line, where its script is not on the path (torchrun -m bigcell train ...)."""

from bigcell.cli import main

if __name__ == "__main__":
    main()
