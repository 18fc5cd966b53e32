"""``python -m leapgrad`` is the command `leapgrad`."""

import sys

from sensitivity.cli import main

sys.exit(main())
