"""`python -m opsconsole.cli`: the program by its module, as the command line starts itself."""

from opsconsole.cli.program import main

if __name__ == "__main__":
    main()
