"""``python -m trialjob`` is the command ``trialjob``."""

import sys

from trialjob.apps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
