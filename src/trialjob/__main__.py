"""``python -m trialjob`` is the command ``trialjob``."""

from trialjob.apps.cli.main import main

if __name__ == "__main__":
    main()
