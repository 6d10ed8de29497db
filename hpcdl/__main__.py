"""`python -m hpcdl`: the same as the command `hpcdl`."""

from hpcdl.cli import main

if __name__ == "__main__":
    main()
