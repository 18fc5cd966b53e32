"""``python -m sensitivity.cli`` is `leapgrad`."""

import sys

from . import main

sys.exit(main())
